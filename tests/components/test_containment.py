"""A component cannot change what another's numbers rest on without being named."""

from __future__ import annotations

import builtins
import gc
import logging
import math
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.modules.module as module
from torch.optim.optimizer import register_optimizer_step_pre_hook

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.component import BoundComponent, Provider
from prunebench.api.errors import ConfigError, ContractError, DataMissing, LostArtifact, PlanError
from prunebench.commands.output import show_stop
from prunebench.components.catalogue import Catalogue
from prunebench.components.containment import contained
from prunebench.components.interrupts import CtrlC, told_apart
from prunebench.components.leaving import LeftError, no_leaving
from prunebench.components.managers import call_planning_hook, run_manager
from prunebench.components.time_limit import HookTimeout, gets_on, hook_seconds, watched
from prunebench.engine import masking
from prunebench.engine.environment import sealed_off
from prunebench.engine.stopping import stoppable
from prunebench.plan.participants import needs_of
from prunebench.testing.toy import toy_request


class Acting:
    """Does something in each hook that it answers."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    @hookimpl
    def prunebench_score(self) -> object:
        return self._act()

    @hookimpl
    def prunebench_model(self) -> object:
        return self._act()

    @hookimpl
    def prunebench_needs(self) -> object:
        return self._act()


def component(act: Callable[[], object]) -> BoundComponent:
    return BoundComponent(
        Provider(Component("bad", ComponentConfig, lambda config: Acting(act), 1), "lab 0.3"), ComponentConfig()
    )


def score(act: Callable[[], object]) -> Any:
    nothing = dict.fromkeys(("model", "data", "task", "units", "mask", "inputs", "rng"))
    return run_manager([component(act)]).hook.prunebench_score(**nothing)


class Passing(torch.overrides.TorchFunctionMode):
    """Sees every operation."""

    def __torch_function__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return operation(*args, **(kwargs or {}))


def entered(context: Any) -> Any:
    context.__enter__()
    return context


def lowered(limit: int) -> None:
    resource.setrlimit(limit, (8, resource.getrlimit(limit)[1]))


LEAKS: dict[str, Callable[[], object]] = {
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(False),
    "torch's precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's filling of new memory": lambda: setattr(
        torch.utils.deterministic, "fill_uninitialized_memory", not torch.utils.deterministic.fill_uninitialized_memory
    ),
    "torch's treatment of denormal numbers": lambda: torch.set_flush_denormal(True),
    "torch's automatic precision on cpu": lambda: torch.set_autocast_enabled("cpu", True),
    "torch's backend flag mkldnn_enabled": lambda: torch._C._set_mkldnn_enabled(False),
    "torch's backend flag cudnn_benchmark": lambda: torch._C._set_cudnn_benchmark(True),
    "torch's backend flag nnpack_enabled": lambda: torch._C._set_nnpack_enabled(False),
    "torch's backend flag flash_sdp_enabled": lambda: torch._C._set_sdp_use_flash(False),
    "torch's fast path of attention": lambda: torch.backends.mha.set_fastpath_enabled(False),
    "Python's limit of recursion": lambda: sys.setrecursionlimit(400),
    "torch's global forward hooks": lambda: module.register_module_forward_hook(lambda layer, x, y: y * 0),
    "torch's global forward pre hooks": lambda: module.register_module_forward_pre_hook(lambda layer, x: None),
    "torch's global optimizer pre hooks": lambda: register_optimizer_step_pre_hook(lambda optimizer, a, k: None),
    "torch's function modes": lambda: entered(Passing()),
    "torch's hooks of saved tensors": lambda: entered(
        torch.autograd.graph.saved_tensors_hooks(lambda x: x * 0, lambda x: x)
    ),
    "NumPy's answer to floating-point errors": lambda: np.seterr(all="raise"),
    "the working folder": lambda: os.chdir("/"),
    "a signal's handler": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "the interval timer": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
    "the permissions of new files": lambda: os.umask(0o777),
    "the limit RLIMIT_NOFILE": lambda: lowered(resource.RLIMIT_NOFILE),
    "the limit RLIMIT_FSIZE": lambda: lowered(resource.RLIMIT_FSIZE),
    "the standard streams": lambda: setattr(sys, "stdout", None),
    'the module "json"': lambda: sys.modules.update(json=None),  # type: ignore[call-overload]
    'the module "hashlib"': lambda: sys.modules.pop("hashlib"),
    'the module "torch.nn.functional"': lambda: sys.modules.pop("torch.nn.functional"),
    "torch.nn.functional.relu": lambda: setattr(torch.nn.functional, "relu", lambda x, inplace=False: x * 0),
    "torch.tanh": lambda: setattr(torch, "tanh", torch.sigmoid),
    "torch.nn.functional": lambda: setattr(torch.nn, "functional", ModuleType("functional")),
    "os.path": lambda: setattr(os, "path", ModuleType("path")),
    "math.pi": lambda: setattr(math, "pi", 3.0),
    "torch.float": lambda: setattr(torch, "float", torch.float64),
    "torch.nn.modules.batchnorm.BatchNorm2d.forward": lambda: setattr(
        torch.nn.BatchNorm2d,
        "forward",
        lambda self, x: x,  # the class inherits it
    ),
    "torch.Tensor.shape": lambda: setattr(torch.Tensor, "shape", property(lambda self: (1,))),
    "torch.nn.functional.len": lambda: setattr(torch.nn.functional, "len", lambda one: 0),
    "torch.Tensor.backward": lambda: setattr(torch.Tensor, "backward", lambda self, *a, **k: None),
    "torch.nn.modules.activation.ReLU.forward": lambda: setattr(torch.nn.ReLU, "forward", lambda self, x: x),
    "torch.optim.adam.Adam.step": lambda: setattr(torch.optim.Adam, "step", lambda self, *a, **k: None),
    "builtins.sum": lambda: setattr(builtins, "sum", lambda *a: 0),
    "time.monotonic": lambda: setattr(time, "monotonic", lambda: 0.0),
    "torch's random generator": lambda: torch.rand(1),
    "NumPy's random generator": lambda: np.random.rand(),
    "Python's random generator": random.random,
}


def shared_state() -> list[Any]:
    return [
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        random.getstate(),
        os.getcwd(),
        signal.getsignal(signal.SIGTERM),
        signal.getitimer(signal.ITIMER_REAL),
        np.geterr(),
        list(module._global_forward_hooks) + list(module._global_forward_pre_hooks),
        torch.is_autocast_enabled("cpu"),
        dict(os.environ),
        list(warnings.filters),
        sys.getrecursionlimit(),
        torch._C._get_nnpack_enabled(),
        torch._C._get_flash_sdp_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        resource.getrlimit(resource.RLIMIT_NOFILE),
        resource.getrlimit(resource.RLIMIT_FSIZE),
        (sys.stdout, sys.stderr, sys.modules["json"], sys.modules["hashlib"]),
        (torch.nn.functional.relu, torch.tanh, torch.Tensor.backward, torch.nn.ReLU.forward, torch.optim.Adam.step),
        (sum, time.monotonic, torch.nn.functional, os.path, math.pi, torch.float),
        (torch.nn.BatchNorm2d.forward, torch.zeros(3).shape, "len" in vars(torch.nn.functional)),
        (gc.isenabled(), sys.getswitchinterval(), logging.root.manager.disable, sys.gettrace()),
    ]


@pytest.mark.parametrize(("what", "change"), LEAKS.items(), ids=LEAKS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_a_hook_leaves_changed_is_named_and_put_back(what: str, change: Callable[[], object]) -> None:
    before = shared_state()
    with pytest.raises(ContractError, match=rf"component bad \(lab 0.3\): prunebench_score changed {what}"):
        score(change)
    assert shared_state() == before
    assert score(lambda: "fine") == "fine"


def test_a_constructor_may_draw_from_generators_that_are_seeded_for_it() -> None:
    before = shared_state()
    hook = run_manager([component(lambda: float(torch.rand(1)) + random.random())]).hook
    assert isinstance(hook.prunebench_model(data_info=None), float)
    assert shared_state() == before


def test_functions_of_the_suite_that_a_component_exchanges_are_put_back_after_its_phase() -> None:
    before = dict(vars(masking)), sys.modules["base64"]
    name = next(name for name, value in vars(masking).items() if isinstance(value, FunctionType))
    with sealed_off("cpu", 1, 0, foreign=True):
        setattr(masking, name, lambda *a: None)
        sys.modules.pop("base64")
    assert (dict(vars(masking)), sys.modules["base64"]) == before


def test_standard_streams_that_a_component_closes_are_open_again() -> None:
    """Nothing that is printed goes into a file that was opened since, and nobody's print fails."""
    script = """
import os, sys
from prunebench.components.standard_streams import Streams

kept = Streams()
os.close(1)
os.close(2)
sys.stdout.close()
with open(sys.argv[1], "w") as file:
    assert file.fileno() in (1, 2)
assert kept.restore()
kept = Streams()
print("out", flush=True)
print("error", file=sys.stderr)
assert not kept.restore()
"""
    done = subprocess.run([sys.executable, "-c", script, os.devnull], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "error\n", 0)


class Tee:
    """A stream as many a script has it: one that writes, and no more."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_streams_of_a_program_that_can_only_write_are_diverted_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    out, error = Tee(), Tee()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", error)
    assert score(lambda: print("said") or "answer") == "answer"
    assert (sys.stdout, sys.stderr, out.text, error.text) == (out, error, "", "said\n")


def test_a_line_is_shown_when_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> object:
        print("of a long phase")
        return capsys.readouterr().err

    assert score(act) == "of a long phase\n"


def test_streams_and_descriptors_that_are_gone_are_a_breach_and_no_error_of_the_suite() -> None:
    script = """
import os, sys
from prunebench.components.standard_streams import Streams

kept = Streams(divert=True)
os.closerange(3, 256)
assert kept.restore()
kept = Streams(divert=True)
del sys.stdout
assert kept.restore()
print("out")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "", 0)


def test_what_a_component_prints_goes_to_standard_error_and_no_terminal_acts_on_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def act() -> object:
        print("\x1b[2Jcleared\r\n\u202egnp")
        print("aside", file=sys.stderr)
        sys.stdout.buffer.write(b"\xff\x07bytes\n")
        print("x" * 10_000_000)
        return "answer"

    assert score(act) == "answer"
    print("mine")
    shown = capsys.readouterr()
    assert shown.out == "mine\n"
    assert shown.err.startswith("\\x1b[2Jcleared\n\\u202egnp\naside\n\\xff\\x07bytes\nxxx")
    assert shown.err.endswith("x\n[what a component printed goes on; more of it is not shown]\n")
    assert len(shown.err) < 9_000


def test_what_a_library_exchanges_of_its_own_is_no_breach() -> None:
    def compiled() -> object:
        import torch._dynamo  # puts wrappers around some of torch's functions
        from torch._dynamo.mutation_guard import install_generation_tagging_init

        step = torch.optim.SGD.step
        torch.optim.SGD.step = torch._disable_dynamo(step)  # type: ignore[method-assign]
        install_generation_tagging_init()  # as the first compiled module does, around Module.__init__
        return "answer"

    layer: Any = torch.nn.Module
    before = torch.optim.SGD.step, layer.__init__, layer.__setstate__
    try:
        assert score(compiled) == "answer"
        assert torch.optim.SGD.step is not before[0]
        assert layer.__init__ is not before[1]
    finally:
        torch.optim.SGD.step, layer.__init__, layer.__setstate__ = before  # type: ignore[method-assign]


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        torch.set_default_dtype(torch.float64)
        raise error

    return act


ANY = (ValueError("no"), SystemExit(0), RuntimeError(), MemoryError("large"), GeneratorExit(), BaseException("base"))


@pytest.mark.parametrize("error", ANY, ids=repr)
def test_what_a_hook_raises_names_the_component_and_leaves_no_trace(error: BaseException) -> None:
    with pytest.raises(ContractError, match=r"component bad \(lab 0.3\): prunebench_score failed: "):
        score(raising(error))
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("error", [LostArtifact("0" * 64, "gone"), KeyboardInterrupt()], ids=repr)
def test_errors_of_the_suite_itself_and_ctrl_c_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)):
        score(raising(error))


def test_what_imports_change_is_put_back_and_is_no_breach() -> None:
    before = shared_state()

    def act() -> object:
        os.environ["LIBRARY_SETTING"] = "1"
        os.environ.pop("PATH")
        warnings.simplefilter("error")
        gc.disable()
        sys.setswitchinterval(100)
        logging.disable(100)
        return "answer"

    assert score(act) == "answer"
    assert shared_state() == before


def test_a_keyboard_interrupt_of_a_component_is_its_own_fault_and_ctrl_c_is_not() -> None:
    def press() -> object:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        return None

    with told_apart():
        with pytest.raises(ContractError, match=r"prunebench_score failed: KeyboardInterrupt"):
            score(raising(KeyboardInterrupt()))
        with pytest.raises(CtrlC):
            score(press)
        with pytest.raises(CtrlC):
            call_planning_hook(component(press), "prunebench_needs", request=None)


def test_sigterm_outside_of_training_stops_a_command_which_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminated() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)

    with told_apart(), pytest.raises(CtrlC) as stop:
        terminated()
    assert stop.value.by == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    show_stop(stop.value)
    told = "Stopped by SIGTERM. What was done is stored; the same command goes on from there."
    assert capsys.readouterr().err.strip() == told


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(0), RecursionError(), GeneratorExit()], ids=repr)
def test_a_planning_hook_that_fails_is_an_error_of_the_plan(error: BaseException) -> None:
    def act() -> object:
        raise error

    with pytest.raises(PlanError, match=r"component bad \(lab 0.3\): prunebench_needs failed: "):
        call_planning_hook(component(act), "prunebench_needs", request=None)


def test_a_component_that_cannot_be_built_is_named() -> None:
    def build(config: ComponentConfig) -> object:
        raise SystemExit(0)

    use = BoundComponent(Provider(Component("bad", ComponentConfig, build, 1), "lab 0.3"), ComponentConfig())
    with pytest.raises(ContractError, match=r"component bad \(lab 0.3\): its constructor failed: SystemExit"):
        run_manager([use])
    with pytest.raises(PlanError, match=r"component bad \(lab 0.3\)"):
        call_planning_hook(use, "prunebench_needs", request=None)


def endless() -> object:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def test_a_planning_hook_that_does_not_return_is_ended_and_named() -> None:
    match = r"component bad \(lab 0.3\): prunebench_needs failed: HookTimeout: it did not return within 0.2 s"
    with watched(0.2), pytest.raises(PlanError, match=match):
        call_planning_hook(component(endless), "prunebench_needs", request=None)


def test_a_constructor_and_a_list_of_components_that_do_not_end_are_ended_and_named() -> None:
    class Endless:
        @hookimpl
        def prunebench_components(self) -> Any:
            return endless()

    class Repeating:
        @hookimpl
        def prunebench_components(self) -> Any:
            while True:
                yield 1

    with watched(0.2):
        broken = Catalogue.of([("lab 0.3", "endless", Endless()), ("lab 0.4", "repeating", Repeating())]).broken
        stuck = Component("stuck", ComponentConfig, lambda config: endless(), 1)
        catalogue = Catalogue.of([]).with_components([stuck], "lab 0.5")
        with pytest.raises(ConfigError, match=r"component stuck \(lab 0.5\): HookTimeout: it did not return"):
            catalogue.use("stuck", slot="score")
    assert "lab 0.3: HookTimeout" in broken["endless"]
    assert "lab 0.4: ContractError: prunebench_components gave int" in broken["repeating"]


def test_a_sigterm_that_arrives_in_a_hook_is_not_its_doing_and_keeps_its_timer() -> None:
    asked: list[int] = []
    with stoppable(asked.append, 600):
        assert score(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.01), "answer")[-1]) == "answer"
        assert asked == [signal.SIGTERM]
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 500
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_component_cannot_leave_the_process_and_its_children_can() -> None:
    with no_leaving():
        with pytest.raises(ContractError, match=r"component bad \(lab 0.3\): prunebench_score failed: LeftError"):
            score(lambda: os._exit(0))
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_planning_hook_that_yields_without_end_is_ended_and_named() -> None:
    def forever() -> Any:
        while True:
            yield 1

    with pytest.raises(PlanError, match=r"component bad \(lab 0.3\): prunebench_needs failed: .*more than 100,000"):
        call_planning_hook(component(forever), "prunebench_needs", request=None)
    assert call_planning_hook(component(lambda: iter([1, 2])), "prunebench_needs", request=None) == [1, 2]


@pytest.mark.parametrize(
    "answer", [42, [42], "text", {"a": 1}, object()], ids=["number", "list", "text", "table", "object"]
)
def test_a_planning_hook_that_answers_with_something_else_is_named(answer: object) -> None:
    match = r"component bad \(lab 0.3\): prunebench_needs gave \w+.* not Needs"
    with pytest.raises(PlanError, match=match):
        needs_of(component(lambda: answer), toy_request())


def test_the_limit_can_be_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hook_seconds() == 60
    for text, seconds in (("5", 5.0), ("0", 60.0), ("soon", 60.0), ("nan", 60.0), ("-1", 60.0)):
        monkeypatch.setenv("PRUNEBENCH_HOOK_SECONDS", text)
        assert hook_seconds() == seconds


def test_many_quick_calls_are_not_taken_for_one_that_does_not_return() -> None:
    with watched(0.05):
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            call_planning_hook(component(lambda: time.sleep(0.001)), "prunebench_needs", request=None)


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), ValueError("no"), LeftError("os._exit(0)")])
def test_what_a_component_handed_over_fails_under_its_name(error: BaseException) -> None:
    with told_apart(), pytest.raises(PlanError, match=rf"^model net: {type(error).__name__}"), contained("model net"):
        raise error


@pytest.mark.parametrize("error", [CtrlC(), HookTimeout(), DataMissing("put it there")])
def test_what_stops_the_command_or_is_the_suites_own_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), contained("model net"):
        raise error


def test_lines_of_a_strangers_error_are_not_taken_for_the_suites_own() -> None:
    with pytest.raises(PlanError) as told, contained("model net"):
        raise ValueError("first\nerror: second")
    assert str(told.value).splitlines() == ["model net: ValueError: first", "    error: second"]


@pytest.mark.parametrize(
    ("passed", "computed", "waits"),
    [
        (60, 60, False),  # it computes and computes
        (60, 0, False),  # it waits for something that does not come
        (60, 7, True),  # a slow import on a machine that is full
        (240, 14, True),
        (240, 16, False),  # it had a processor for a quarter of the limit
        (6000, 14, False),
    ],
)
def test_what_gets_little_of_a_processor_is_waited_for(passed: float, computed: float, waits: bool) -> None:
    assert gets_on(passed, computed, 60) is waits


def test_a_component_that_catches_what_would_end_it_ends_the_command_which_says_where() -> None:
    script = """
from prunebench.components.time_limit import limited, watched

def stubborn():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

with watched(0.05):
    limited(stubborn)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGTERM
    assert "a component does not return and catches what would end it (<string>, line" in done.stderr
    assert "stubborn" in done.stderr
