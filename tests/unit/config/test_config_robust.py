"""Whatever is written, loading gives a snapshot or problems with places, and nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.base.jsonio import dumps
from proxy.config.load import load
from proxy.config.problems import ConfigError
from proxy.config.schema import key_paths, keys_of
from proxy.config.settings import Settings
from proxy.config.snapshot import Snapshot
from tests.examples import examples

WORDS = sorted(
    {step for path in key_paths(keys_of(Settings)) for step in path.replace("[]", "").split(".")}
    | {"include", "environments", "production", "rules", "a*", "**", "openai", "demo", "p"}
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats()
    | st.sampled_from(
        [*WORDS, "${A}", "${B:-}", "${", "5s", "1MiB", "*", "", "https://h", "h:1", "0.1", "a\0"]
    )
    | st.text(st.characters(codec="utf-8"), max_size=5)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)
PROVIDER_KEYS = ["kind", "base_url", "api_keys", "headers", "timeouts", "delay", "tls"]
TELEMETRY_KEYS = ["log", "content", "retention", "otlp", "metrics"]
PRICE_KEYS = ["input", "output", "image", "nothing"]
provider = st.dictionaries(st.sampled_from(PROVIDER_KEYS), values)
roots = st.fixed_dictionaries(
    {},
    optional={
        "auth": st.just("none") | values,
        "providers": st.dictionaries(st.sampled_from(["p", "q"]), provider | values) | values,
        "models": st.dictionaries(
            st.sampled_from(["m", "a*"]),
            st.fixed_dictionaries(
                {"targets": st.lists(values) | values},
                optional={"price": st.dictionaries(st.sampled_from(PRICE_KEYS), values)},
            )
            | values,
        ),
        "keys": st.lists(st.fixed_dictionaries({"name": values, "key": values}) | values),
        "passthrough": values,
        "tls": values,
        "environments": values,
        "proxies": values,
        "telemetry": values | st.dictionaries(st.sampled_from(TELEMETRY_KEYS), values),
        "data_dir": values,
        "store": values | st.just("postgresql://u:p@h/d"),
        "spool": st.dictionaries(st.sampled_from(["failure", "sync", "segment"]), values) | values,
        "admin": st.dictionaries(st.sampled_from(["listen", "key"]), values) | values,
        "listen": values,
        "workers": values,
        "drain": values,
    },
)


@settings(max_examples=examples(60), deadline=None)
@given(roots, st.sampled_from([None, "production", "p"]))
def test_any_structure_loads_or_is_refused(
    root: dict[str, object], environment: str | None
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_bytes(dumps(root))  # JSON is YAML.
        try:
            snapshot = load(path, environment=environment, env={"A": "x"})
        except ConfigError as error:
            assert error.problems
            assert len(set(error.problems)) == len(error.problems)
            assert all(problem.line == 1 and problem.column >= 1 for problem in error.problems)
        else:
            assert Snapshot.parse(snapshot.dump()) == snapshot
