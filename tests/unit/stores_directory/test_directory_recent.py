"""The bounded memory: what was used last stays."""

from proxy.stores.directory.recent import Recent


def kept(recent: Recent[str, int]) -> list[str]:
    return [key for key, _ in recent.items()]


def test_what_was_used_longest_ago_makes_room() -> None:
    recent: Recent[str, int] = Recent(3, 100)
    for number, name in enumerate("abc"):
        recent.put(name, number, 1)
    assert recent.get("a") == 0
    recent.put("d", 3, 1)
    assert kept(recent) == ["c", "a", "d"]
    assert recent.get("b") is None


def test_large_ones_leave_less_room() -> None:
    recent: Recent[str, int] = Recent(100, 10)
    recent.put("a", 1, 4)
    recent.put("b", 2, 4)
    recent.put("c", 3, 4)
    assert kept(recent) == ["b", "c"]
    recent.put("huge", 4, 11)
    assert kept(recent) == []
    recent.put("d", 5, 10)
    assert kept(recent) == ["d"]


def test_one_that_is_put_again_weighs_once() -> None:
    recent: Recent[str, int] = Recent(10, 10)
    for number in range(5):
        recent.put("a", number, 8)
    recent.put("b", 0, 2)
    assert kept(recent) == ["a", "b"]
    recent.drop("a")
    recent.drop("never there")
    recent.put("c", 0, 8)
    assert kept(recent) == ["b", "c"]
    recent.clear()
    recent.put("d", 0, 10)
    assert (kept(recent), len(recent)) == (["d"], 1)
