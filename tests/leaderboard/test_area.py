from prunebench.leaderboard.readme.area import area_table

from .boards import board, results, row


def table(rows: list[dict[str, object]]) -> str:
    found = board(rows)
    return area_table(found.groups[0], found)


def test_only_seeds_with_every_shared_density_have_an_area() -> None:
    rows = [row("imp", seed, density, 0.9) for seed in range(3) for density in (0.5, 0.1)]
    rows[-1] = row("imp", 2, 0.1, None, outcome="diverged")
    entry = board(rows).groups[0].entries["imp"]
    assert list(entry.areas) == [0, 1]
    assert entry.area is not None
    assert entry.area.n == 2


def test_the_table_uses_only_densities_that_all_ranked_entries_share() -> None:
    rows = [row(entry, seed, d, 0.9) for entry in "ab" for seed in range(2) for d in (0.5, 0.25)]
    rows += [row("a", seed, 0.1, 0.1) for seed in range(2)]
    text = table(rows)
    assert "through the 2 densities below 100 % shared by all ranked entries (50.0 % to 25.0 %)" in text
    assert text.count("90.00 ± 0.00") == 2


def test_one_density_has_no_area_and_one_seed_has_no_interval() -> None:
    assert table(results(densities=[0.5])).startswith("None: an area needs two densities")
    assert "±" not in table(results(seeds=1)).split("\n\n")[1]
