"""Names that one part of the configuration says and another defines.

A text that came from a variable may be a secret, so it is never shown.
"""

from collections.abc import Iterable, Iterator

from proxy.config.near import nearest
from proxy.config.problems import Place, Problem
from proxy.config.tree import Scalar, Section

AUTO = "auto"
"""What clients ask for when rules are to say which model answers."""


def provider_exists(root: Section, section: Section) -> Iterator[Problem]:
    """That the `provider` of a section is defined."""
    provider = section.scalar("provider")
    known = root.section("providers").entries
    if provider is None or not isinstance(provider.value, str) or provider.text in known:
        return
    yield _unknown(provider, "provider", known)


def texts(section: Section, key: str) -> Iterator[Scalar]:
    """The texts of a list; what else is in it is refused elsewhere."""
    for node in section.items(key):
        if isinstance(node, Scalar) and not node.absent and isinstance(node.value, str):
            yield node


def twice(scalars: Iterable[Scalar], message: str) -> Iterator[Problem]:
    """Texts that an earlier one has too; `message` holds `{}` for the place of that."""
    first: dict[str, Place] = {}
    for scalar in scalars:
        if scalar.text in first:
            yield scalar.place.problem(message.format(first[scalar.text]))
        else:
            first[scalar.text] = scalar.place


class ConfiguredModels:
    """The names under `models`, asked for as requests ask: exact, else the longest pattern."""

    def __init__(self, root: Section) -> None:
        self.sections = {name: section for name, _, section in root.sections("models")}
        self._all = root.section("models").entries
        starred = sorted((name for name in self._all if name.count("*") == 1), key=_specific)
        self._patterns = tuple((name, *_halves(name)) for name in reversed(starred))

    def route(self, asked: str) -> str | None:
        """The configured name that takes a name, or None."""
        if asked in self._all:
            return asked
        for name, before, after in self._patterns:
            if (
                len(asked) > len(before) + len(after)
                and asked.startswith(before)
                and asked.endswith(after)
            ):
                return name
        return None

    def missing(self, scalars: Iterable[Scalar]) -> Iterator[Problem]:
        """A problem for each that is no model. Names with `*` are refused elsewhere."""
        for scalar in scalars:
            if not isinstance(scalar.value, str) or not scalar.text or "*" in scalar.text:
                continue
            if scalar.text == AUTO and AUTO not in self._all:
                yield scalar.place.problem("`auto` asks the rules for a model; name the model here")
            elif self.route(scalar.text) is None:
                yield _unknown(scalar, "model", self._all)


def _specific(pattern: str) -> tuple[int, str]:
    return len(pattern), pattern


def _halves(pattern: str) -> tuple[str, str]:
    before, _, after = pattern.partition("*")
    return before, after


def _unknown(scalar: Scalar, what: str, known: Iterable[str]) -> Problem:
    shown = f"this {what}" if scalar.variables else f"the {what} `{scalar.text}`"
    near = nearest(scalar.text, known)
    hint = f"did you mean `{near}`?" if near else f"known: {', '.join(known) or 'none'}"
    return scalar.place.problem(f"{shown} is not defined under `{what}s`; {hint}")
