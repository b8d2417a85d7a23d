"""What all tests share."""

# pytorch-fid, torch-fidelity and torchmetrics, with which figures are compared, import torchvision; this makes that
# work even where its compiled operators do not fit the torch that is installed.
import gantool.nn.vision  # noqa: F401
