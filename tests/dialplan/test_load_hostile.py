"""No input to the loader raises anything but a DialplanError, and none takes for ever."""

import contextlib
import random
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dialplan import load as loading
from bridge.dialplan.plan import Plan
from bridge.errors import DialplanError
from tests.dialplan.test_book import PLAN
from tests.dialplan.test_load import GOOD, mutate, write_wav
from tests.dialplan.test_overlay import BASE


@pytest.fixture
def folder(tmp_path):
    write_wav(tmp_path / "hello.wav")
    return tmp_path


GOODS = [GOOD, PLAN, BASE]
BITS = [
    b"\t", b"\x00", b"\xff", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: *x", b"${", b"${company}", b"$${",
    b"{{", b"}}", b"[", b"]", b"{", b"}", b": ", b"- ", b"\n", b"\r\n", b"'", b'"', b"---\n", b"@vip", b"/(a+)+/",
    b"easter", b"..", b"include: [p.yaml]\n",
]  # fmt: skip
BOUND_S = 5.0
"""Generous: what is meant is "no input takes for ever"."""


@st.composite
def mutated_bytes(draw):
    """A good plan with some of its bytes changed, removed, doubled or spliced in from elsewhere."""
    raw = bytearray(draw(st.sampled_from(GOODS)).encode())
    for _ in range(draw(st.integers(1, 6))):
        at, length = draw(st.integers(0, len(raw))), draw(st.integers(0, 40))
        piece = draw(
            st.one_of(st.sampled_from(BITS), st.binary(max_size=8), st.just(bytes(raw[at : at + length]) * 2))
        )
        raw[at : at + length] = piece
    return bytes(raw)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(raw=mutated_bytes())
def test_no_bytes_raise_anything_but_dialplan_errors_or_take_for_ever(folder, raw):
    path = folder / "p.yaml"
    path.write_bytes(raw)
    before = time.process_time()
    try:
        plan = loading.load(path, providers=["main"])
    except DialplanError as error:
        plan, told = None, [str(problem) for problem in error.problems]
    else:
        told = ["nothing"]
    assert plan is None or Plan.from_json(plan.to_json()) == plan
    assert all(told)
    assert time.process_time() - before < BOUND_S


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seed=st.integers(0, 2**32),
    changes=st.integers(1, 4),
    good=st.sampled_from(GOODS),
    over=st.sampled_from(GOODS),
)
def test_no_mutated_overlay_raises_anything_but_dialplan_errors(folder, seed, changes, good, over):
    rng = random.Random(seed)
    data = yaml.safe_load(over)
    for _ in range(changes):
        mutate(rng, data)
    (folder / "overlays").mkdir(exist_ok=True)
    (folder / "p.yaml").write_text(good)
    (folder / "overlays" / "here.yaml").write_text(yaml.safe_dump(data))
    with contextlib.suppress(DialplanError):
        loading.load(folder / "p.yaml", ["main"], environment="here")
