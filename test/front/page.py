#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""page.py PAGE.html: a page of ./ouzel bench linux --html in headless Chromium, as a reader sees
it: plots that have a size, no text beside its plot or over another text, nothing wider than the
window. Says what is wrong; exit code 0 if nothing is."""
import os
import re
import subprocess
import sys
import tempfile

# Runs in the page when it is laid out. What it finds is left where --dump-dom shows it.
LOOK = """<script>addEventListener("load", () => {
  const wrong = [], plots = [...document.querySelectorAll("svg")];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the window");
  plots.forEach((svg) => {
    const name = svg.getAttribute("aria-label"), frame = svg.getBoundingClientRect();
    if (frame.width < 300 || frame.height < 20) wrong.push(name + ": no size");
    const boxes = [...svg.querySelectorAll("text")].map((t) => [t, t.getBoundingClientRect()]);
    boxes.forEach(([t, a], n) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 4)
        wrong.push(name + ": outside: " + t.textContent);
      boxes.slice(n + 1).forEach(([u, b]) => {
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 &&
            b.top < a.bottom - 4)
          wrong.push(name + ": " + t.textContent + " lies over " + u.textContent);
      });
    });
  });
  const said = document.createElement("p");
  said.id = "looked";
  said.textContent = plots.length + " plots; " + wrong.join("; ");
  document.body.append(said);
});</script></body>"""


def main():
    with open(sys.argv[1]) as f:
        page = f.read()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "page.html"), "w") as f:
            f.write(page.replace("</body>", LOOK))
        dom = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu",
                              "--window-size=1200,2000", f"--user-data-dir={folder}/profile",
                              "--dump-dom", f"file://{folder}/page.html"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             timeout=120, check=False).stdout
    said = re.search(r'<p id="looked">(\d+) plots; (.*?)</p>', dom)
    if not said:
        print("the browser did not show the page")
        return 1
    print(said[0])
    return 0 if int(said[1]) == page.count("<svg") > 0 and not said[2] else 1


sys.exit(main())
