// SPDX-License-Identifier: MIT
#include "validate.h"

bool va_allowed(uint64_t va, uint64_t size, bool own)
{
        if (!size || size - 1 > UINT64_MAX - va)
                return false;
        uint64_t last = va + (size - 1);
        if (!own)
                return last < PROCESS_VA_END;
        return va >= TASK_VA_START && (last < KERNEL_SLOT_VA || va >= KERNEL_SLOT_END);
}

enum ouzel_error validate(struct region_set *regions, const struct mapping *m)
{
        uint32_t access = m->flags & ACCESS_ALL;
        uint32_t device = m->flags & MAP_DEVICE ? REGION_DEVICE : 0;
        bool wx = (access & ACCESS_WRITE) && (access & ACCESS_EXEC);

        if (m->page != 1ul << 12 && m->page != 1ul << 21 && m->page != 1ul << 30)
                return E_INVALID;
        if ((m->va & (m->page - 1)) || (m->pa & (m->page - 1)) || (m->size & (m->page - 1)))
                return E_ALIGN;
        if (!va_allowed(m->va, m->size, m->own))
                return E_RANGE;
        if (m->size > 1ul << 48 || m->pa > (1ul << 48) - m->size)
                return E_RANGE;
        if (!(access & ACCESS_READ) ||
            (m->flags & ~(uint32_t)(ACCESS_ALL | MAP_DEVICE | MAP_NONCACHED)))
                return E_INVALID;
        if (device && (access & ACCESS_EXEC))
                return E_TYPE;
        if (device && (m->flags & MAP_NONCACHED))
                return E_INVALID;
        if (wx && m->own)
                return E_WX;
        if (region_find(regions, m->pa, m->pa + m->size,
                        access | device | (wx ? REGION_WX : 0)))
                return E_OK;
        /* Why not? Nothing depends on these but the message. */
        if (wx && region_find(regions, m->pa, m->pa + m->size, access | device))
                return E_WX;
        if (region_find(regions, m->pa, m->pa + m->size, device))
                return E_RIGHTS;
        if (region_find(regions, m->pa, m->pa + m->size, device ^ REGION_DEVICE))
                return E_TYPE;
        return E_OWNER;
}
