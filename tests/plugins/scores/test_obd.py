import pytest
import torch
from torch.func import functional_call, hessian
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.obd import Obd, ObdConfig

CLASSES = task_of({"use": "classification"})


class TestObd(ScoreContract):
    component = {"use": "obd", "batch": 16, "batches": 2, "probes": 2}


class TestObdSigned(ScoreContract):
    component = {"use": "obd", "curvature": "signed", "batches": 1}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_the_mean_over_many_probes_is_the_diagonal_of_the_hessian() -> None:
    torch.manual_seed(0)
    model = two_layer_net().double().eval()
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def loss(weights):
        return functional.cross_entropy(functional_call(model, weights, (images.double(),)), labels)

    exact = hessian(loss)(weights)
    expected = []
    for name in ("fc1.weight", "fc2.weight"):
        size = weights[name].numel()
        expected.append(exact[name][name].reshape(size, size).diagonal() * weights[name].flatten() ** 2 / 2)
    config = ObdConfig(batch=96, batches=1, probes=16_000, curvature="signed")
    rng = Streams(0).rng("score")
    found = Obd(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), rng).flat()
    wanted = torch.cat(expected)
    assert float((found - wanted).norm() / wanted.norm()) < 0.15
    assert float(torch.corrcoef(torch.stack([found, wanted]))[0, 1]) == pytest.approx(1.0, abs=0.02)
