"""torchvision loads beside a torch that its compiled operators were not built for."""

import ast
import subprocess
import sys
from pathlib import Path

import gantool


def test_it_loads_without_its_compiled_operators():
    code = (
        "import torch\n"
        "def refused(path): raise OSError(path)\n"
        "torch.ops.load_library = refused\n"
        "from gantool.nn.vision import models\n"
        "import torchvision\n"
        "torch.manual_seed(0)\n"
        "print(models.alexnet().features(torch.zeros(1, 3, 64, 64)).shape[1], torchvision.extension._has_ops())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "256 False\n"


def test_nothing_else_imports_torchvision():
    root = Path(gantool.__file__).parent
    for path in root.rglob("*.py"):
        if path.relative_to(root).as_posix() == "nn/vision.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "torchvision" for name in names), path
