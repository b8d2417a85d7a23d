"""What all tests share."""

# pytorch-fid, torch-fidelity and torchmetrics, with which figures are compared, import torchvision; this makes that
# work even where its compiled operators do not fit the torch that is installed.
import gantool.nn.vision  # noqa: F401, I001
# isort: split

import io
import signal

import pytest
import torch
from torch import nn

from gantool.data.enlarger_files import save_enlarger
from gantool.nn.srresnet import SRResNet

# A shell's background jobs ignore Ctrl-C, and hand that down: the programs that tests interrupt must not.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def enlarger_file(tmp_path_factory):
    """Makes files of networks that enlarge twice, with random weights, as large as they are asked for."""

    def make(channels=8, blocks=1):
        torch.manual_seed(0)
        path = tmp_path_factory.mktemp("enlarger") / "twice.safetensors"
        save_enlarger(SRResNet(2, channels, blocks).eval(), path)
        return path

    return make


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """FID's Inception in the published file's format: random weights with which activations stay of the order of 1,
    and statistics that are not the defaults."""
    from torch_fidelity.feature_extractor_inceptionv3 import BasicConv2d, FeatureExtractorInceptionV3

    class Untrained(FeatureExtractorInceptionV3):
        """Without the weights that its constructor asks for."""

        def __init__(self):
            nothing = io.BytesIO()
            torch.save({}, nothing)
            nothing.seek(0)
            super().__init__("inception", ["2048"], feature_extractor_weights_path=nothing)

        def load_state_dict(self, *args, **kwargs):
            pass

    network = Untrained()
    random = torch.Generator().manual_seed(0)
    for block in network.modules():
        if isinstance(block, BasicConv2d):
            nn.init.kaiming_normal_(block.conv.weight, generator=random)
            block.bn.running_mean.normal_(0, 0.1, generator=random)
            block.bn.running_var.uniform_(0.5, 1.5, generator=random)
            block.bn.weight.uniform_(0.7, 1.3, generator=random)
            block.bn.bias.uniform_(0, 1, generator=random)
    path = tmp_path_factory.mktemp("weights") / "weights-inception.pth"
    torch.save(network.state_dict(), path)
    return path
