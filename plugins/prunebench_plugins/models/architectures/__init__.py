"""The papers' own networks; importing this package enters them into timm's registry."""

from prunebench_plugins.models.architectures.cifar_densenet import CifarDenseNet
from prunebench_plugins.models.architectures.cifar_preresnet import CifarPreResNet
from prunebench_plugins.models.architectures.cifar_resnet import CifarResNet
from prunebench_plugins.models.architectures.cifar_vgg import CifarVgg
from prunebench_plugins.models.architectures.conv import ConvNet
from prunebench_plugins.models.architectures.lenet import LeNet300100, lenet_300_100
from prunebench_plugins.models.architectures.vanilla_cnn import VanillaCnn

__all__ = [
    "CifarDenseNet",
    "CifarPreResNet",
    "CifarResNet",
    "CifarVgg",
    "ConvNet",
    "LeNet300100",
    "VanillaCnn",
    "lenet_300_100",
]
