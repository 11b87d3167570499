"""The papers' own networks; importing this package enters them into timm's registry."""

from prunebench_plugins.models.architectures.lenet import LeNet300100, lenet_300_100

__all__ = ["LeNet300100", "lenet_300_100"]
