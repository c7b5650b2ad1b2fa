from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from zhilu.engine.blocks import BlockPool


def test_tables_grow_by_whole_blocks_or_not_at_all() -> None:
    pool = BlockPool(4, 4)
    table: list[int] = []
    assert pool.grow(table, 5) and len(table) == 2
    assert pool.grow(table, 8) and len(table) == 2
    assert not pool.grow(table, 17) and len(table) == 2 and pool.num_free == 2
    pool.release(table)
    assert table == [] and pool.num_free == 4


def test_a_prefix_is_found_by_its_tokens_and_shared() -> None:
    pool = BlockPool(8, 4)
    tokens, table = list(range(10)), []
    pool.grow(table, 10)
    assert pool.publish(table, tokens, 10, 0) == 2
    shared = pool.match(tokens)
    assert shared == table[:2] and pool.references(table[0]) == 2
    assert pool.match([*range(4), 99, 99, 99, 99, 99]) == table[:1]
    assert pool.match([9, *tokens[1:]]) == []
    # The same second block behind another first block is another content.
    assert pool.match([99, 99, 99, 99, *tokens[4:]]) == []


def test_the_last_token_is_always_left_to_compute() -> None:
    pool = BlockPool(8, 4)
    table: list[int] = []
    pool.grow(table, 8)
    pool.publish(table, list(range(8)), 8, 0)
    assert len(pool.match(list(range(8)))) == 1
    assert len(pool.match(list(range(9)))) == 2


def test_freed_blocks_stay_findable_until_they_are_needed() -> None:
    pool = BlockPool(3, 2)
    table: list[int] = []
    pool.grow(table, 4)
    pool.publish(table, [1, 2, 3, 4], 4, 0)
    pool.release(table)
    again = pool.match([1, 2, 3, 4, 5])
    assert len(again) == 2 and pool.num_free == 1
    pool.release(again)
    other: list[int] = []
    assert pool.grow(other, 4)  # takes the empty block, then the end of the cached chain
    assert len(pool.match([1, 2, 3, 4, 5])) == 1
    assert pool.num_cached == 1


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20), st.integers(0, 2)), max_size=40))
def test_no_block_is_lost_or_shared_by_accident(operations: list[tuple[int, int, int]]) -> None:
    pool = BlockPool(12, 4)
    tables: dict[int, tuple[list[int], list[int]]] = {}
    for owner, length, flavour in operations:
        if owner in tables:
            pool.release(tables.pop(owner)[0])
            continue
        tokens = [flavour * (i < 8) + i for i in range(length)]
        table = pool.match(tokens)
        cached = len(table)
        if not pool.grow(table, length):
            pool.release(table)
            continue
        pool.publish(table, tokens, length, cached)
        tables[owner] = (table, tokens)
        for number in range(pool.num_blocks):
            holders = [t for t, _ in tables.values() if number in t]
            assert pool.references(number) == len(holders)
        for other_table, other_tokens in tables.values():
            for i, (mine, theirs) in enumerate(zip(table, other_table, strict=False)):
                if mine == theirs:
                    assert tokens[: 4 * (i + 1)] == other_tokens[: 4 * (i + 1)]
    for table, _ in tables.values():
        pool.release(table)
    assert pool.num_free == pool.num_blocks
