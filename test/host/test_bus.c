// SPDX-License-Identifier: MIT
// uses: lib/devicetree/bus.c fdt
/* Addresses of devices behind buses, in trees that are made here; and in damaged ones. */
#include "unit.h"

#include "bus.h"

static char tree[4096];

/* ---- making a tree ------------------------------------------------------------------------- */

static void begin(uint32_t address_cells, uint32_t size_cells)
{
        assert_int_equal(fdt_create(tree, sizeof(tree)), 0);
        assert_int_equal(fdt_finish_reservemap(tree), 0);
        fdt_begin_node(tree, "");
        fdt_property_u32(tree, "#address-cells", address_cells);
        fdt_property_u32(tree, "#size-cells", size_cells);
}

static void numbers(const char *name, const uint32_t *values, unsigned n)
{
        fdt32_t cells[16];

        for (unsigned i = 0; i < n; i++)
                cells[i] = cpu_to_fdt32(values[i]);
        assert_int_equal(fdt_property(tree, name, cells, (int)(n * 4)), 0);
}
#define NUMBERS(name, ...)                                                                   \
        numbers(name, (const uint32_t[]){__VA_ARGS__},                                       \
                sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void bus(const char *name, uint32_t address_cells, uint32_t size_cells)
{
        fdt_begin_node(tree, name);
        fdt_property_u32(tree, "#address-cells", address_cells);
        fdt_property_u32(tree, "#size-cells", size_cells);
}

static void end(unsigned nodes)
{
        while (nodes--)
                fdt_end_node(tree);
        fdt_end_node(tree);
        assert_int_equal(fdt_finish(tree), 0);
}

static uint64_t base, size;
static bool look(const char *path, unsigned index)
{
        struct bus_path at;

        assert_true(bus_path(tree, fdt_path_offset(tree, path), &at));
        base = size = 0xdead;
        return bus_reg(tree, &at, index, &base, &size);
}

/* ---- where a node is ------------------------------------------------------------------------ */

/* Nodes nested as deep as that, "/n/n/n", each with a sibling before it that has children too. */
static void nest(unsigned depth)
{
        begin(1, 1);
        for (unsigned i = 0; i < depth; i++) {
                bus("other", 1, 1);
                fdt_begin_node(tree, "child");
                fdt_end_node(tree);
                fdt_end_node(tree);
                bus("n", 1, 1);
        }
        end(depth);
}

TEST(a_path_has_all_that_a_node_is_below)
{
        struct bus_path at;
        char path[3 * BUS_DEPTH] = "";

        nest(BUS_DEPTH - 1);
        assert_true(bus_path(tree, 0, &at));
        assert_int_equal(at.depth, 0);
        assert_int_equal(at.node[0], 0);
        for (int depth = 1; depth < BUS_DEPTH; depth++) {
                strcat(path, "/n");
                int node = fdt_path_offset(tree, path);
                assert_true(bus_path(tree, node, &at));
                assert_int_equal(at.depth, depth);
                for (int i = depth; i > 0; i--) {
                        assert_int_equal(at.node[i], node);
                        node = fdt_parent_offset(tree, node);
                }
                assert_int_equal(at.node[0], 0);
        }
}

TEST(a_node_that_is_too_deep_or_none_has_no_path)
{
        struct bus_path at;
        char path[3 * BUS_DEPTH] = "";

        nest(BUS_DEPTH);
        for (unsigned i = 0; i < BUS_DEPTH; i++)
                strcat(path, "/n");
        int deep = fdt_path_offset(tree, path), other = fdt_path_offset(tree, "/other");
        assert_true(deep > 0 && bus_path(tree, other, &at));
        assert_false(bus_path(tree, deep, &at));
        assert_int_equal(at.depth, 0); /* nothing is left of the one before */
        assert_false(bus_path(tree, -1, &at));
        assert_false(bus_path(tree, other + 4, &at)); /* inside of a node */
        assert_false(bus_path(tree, 1 << 20, &at));
}

TEST(the_root_is_on_no_bus)
{
        struct bus_path at;

        begin(1, 1);
        NUMBERS("reg", 0x1000, 4);
        end(0);
        assert_true(bus_path(tree, 0, &at));
        assert_false(bus_reg(tree, &at, 0, &base, &size));
}

/* ---- registers --------------------------------------------------------------------------------- */

TEST(cells_are_one_number_of_which_the_last_two_count)
{
        const fdt32_t p[] = {cpu_to_fdt32(7), cpu_to_fdt32(0x12345678), cpu_to_fdt32(0x9abcdef0)};

        assert_int_equal(bus_cells(p, 0), 0);
        assert_int_equal(bus_cells(p + 1, 1), 0x12345678);
        assert_int_equal(bus_cells(p + 1, 2), 0x123456789abcdef0);
        assert_int_equal(bus_cells(p, 3), 0x123456789abcdef0);
}

TEST(a_device_at_the_top_is_where_its_reg_says)
{
        begin(2, 2);
        fdt_begin_node(tree, "uart");
        NUMBERS("reg", 1, 0x09000000, 0, 0x1000, 2, 0, 1, 0);
        end(1);
        assert_true(look("/uart", 0));
        assert_int_equal(base, 0x109000000);
        assert_int_equal(size, 0x1000);
        assert_true(look("/uart", 1));
        assert_int_equal(base, 0x200000000);
        assert_int_equal(size, 0x100000000);
        assert_false(look("/uart", 2));
}

TEST(every_number_of_cells_is_read)
{
        for (uint32_t na = 1; na <= 3; na++)
                for (uint32_t ns = 0; ns <= 2; ns++) {
                        uint32_t reg[5] = {0};
                        reg[na - 1] = 0x1000;
                        if (ns)
                                reg[na + ns - 1] = 0x200;
                        begin(na, ns);
                        fdt_begin_node(tree, "d");
                        numbers("reg", reg, na + ns);
                        end(1);
                        assert_true(look("/d", 0));
                        assert_int_equal(base, 0x1000);
                        assert_int_equal(size, ns ? 0x200 : 0);
                }
}

TEST(a_device_without_reg_is_nowhere)
{
        begin(2, 2);
        fdt_begin_node(tree, "d");
        end(1);
        assert_false(look("/d", 0));
}

TEST(a_reg_that_is_too_short_is_none)
{
        begin(2, 2);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0, 0x1000, 0);
        end(1);
        assert_false(look("/d", 0));
}

TEST(an_index_far_beyond_the_end_is_none)
{
        begin(2, 2);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0, 0x1000, 0, 0x1000);
        end(1);
        assert_false(look("/d", 1));
        assert_false(look("/d", 1000000));
}

/* ---- buses ----------------------------------------------------------------------------------- */

TEST(empty_ranges_change_nothing)
{
        begin(2, 2);
        bus("soc", 1, 1);
        fdt_property(tree, "ranges", NULL, 0);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0x3000, 0x10);
        end(2);
        assert_true(look("/soc/d", 0));
        assert_int_equal(base, 0x3000);
}

/* The Raspberry Pi 3's: what is at 0x7e000000 on the bus is at 0x3f000000. */
TEST(ranges_move_a_device)
{
        begin(1, 1);
        bus("soc", 1, 1);
        NUMBERS("ranges", 0x7e000000, 0x3f000000, 0x01000000, 0x40000000, 0x40000000, 0x1000);
        fdt_begin_node(tree, "uart");
        NUMBERS("reg", 0x7e201000, 0x200, 0x40000080, 0x10, 0x7f000000, 4);
        end(2);
        assert_true(look("/soc/uart", 0));
        assert_int_equal(base, 0x3f201000);
        assert_int_equal(size, 0x200);
        assert_true(look("/soc/uart", 1)); /* by the second range */
        assert_int_equal(base, 0x40000080);
        assert_false(look("/soc/uart", 2)); /* right behind the first: no way to it */
}

TEST(ranges_of_several_buses_add_up_with_their_own_cells)
{
        begin(2, 2);
        bus("outer", 1, 1);
        NUMBERS("ranges", 0x1000, 4, 0x10000, 0x9000);
        bus("inner", 2, 1);
        NUMBERS("ranges", 0, 0, 0x2000, 0x800);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0, 0x40, 8);
        end(3);
        assert_true(look("/outer/inner/d", 0));
        /* 0x40 is 0x2040 on the outer bus, which begins at 0x1000: 0x1040 into 4:0x10000. */
        assert_int_equal(base, 0x400011040);
}

TEST(a_bus_without_ranges_leads_nowhere)
{
        begin(2, 2);
        bus("i2c", 1, 0);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0x50);
        end(2);
        assert_false(look("/i2c/d", 0));
}

TEST(a_range_that_is_cut_off_leads_nowhere)
{
        begin(1, 1);
        bus("soc", 1, 1);
        NUMBERS("ranges", 0, 0x1000);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0, 4);
        end(2);
        assert_false(look("/soc/d", 0));
}

TEST(a_device_of_the_highest_address_is_found)
{
        begin(2, 2);
        bus("soc", 2, 2);
        NUMBERS("ranges", 0xffffffff, 0xfffff000, 0, 0x1000, 0, 0x1000);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0xffffffff, 0xfffffff0, 0, 0x10);
        end(2);
        assert_true(look("/soc/d", 0));
        assert_int_equal(base, 0x1ff0);
}

/* A tree with any byte changed: right or wrong, but read within its bounds. */
TEST(a_damaged_tree_is_read_within_its_bounds)
{
        static char good[sizeof(tree)];
        struct bus_path at;

        begin(2, 2);
        bus("soc", 1, 1);
        NUMBERS("ranges", 0x7e000000, 0, 0x3f000000, 0x01000000);
        fdt_begin_node(tree, "d");
        NUMBERS("reg", 0x7e201000, 0x200);
        end(2);
        int total = fdt_totalsize(tree);
        memcpy(good, tree, sizeof(tree));
        for (int byte = 0; byte < total; byte++)
                for (unsigned change = 1; change < 256; change += 1 + change / 2) {
                        memcpy(tree, good, sizeof(tree));
                        tree[byte] = (char)(tree[byte] ^ (char)change);
                        if (fdt_check_header(tree) || fdt_totalsize(tree) > sizeof(tree))
                                continue;
                        for (int node = 0; node >= 0; node = fdt_next_node(tree, node, NULL))
                                for (unsigned i = 0; i < 3 && bus_path(tree, node, &at); i++)
                                        bus_reg(tree, &at, i, &base, &size);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cells_are_one_number_of_which_the_last_two_count),
                cmocka_unit_test(a_path_has_all_that_a_node_is_below),
                cmocka_unit_test(a_node_that_is_too_deep_or_none_has_no_path),
                cmocka_unit_test(the_root_is_on_no_bus),
                cmocka_unit_test(a_device_at_the_top_is_where_its_reg_says),
                cmocka_unit_test(every_number_of_cells_is_read),
                cmocka_unit_test(a_device_without_reg_is_nowhere),
                cmocka_unit_test(a_reg_that_is_too_short_is_none),
                cmocka_unit_test(an_index_far_beyond_the_end_is_none),
                cmocka_unit_test(empty_ranges_change_nothing),
                cmocka_unit_test(ranges_move_a_device),
                cmocka_unit_test(ranges_of_several_buses_add_up_with_their_own_cells),
                cmocka_unit_test(a_bus_without_ranges_leads_nowhere),
                cmocka_unit_test(a_range_that_is_cut_off_leads_nowhere),
                cmocka_unit_test(a_device_of_the_highest_address_is_found),
                cmocka_unit_test(a_damaged_tree_is_read_within_its_bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
