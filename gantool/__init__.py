"""gantool: generative adversarial networks that work on your own pictures.

>>> import gantool
>>> run = gantool.train("consingan", "photo.jpg", preset="fast")
>>> gantool.sample(run, n=4)
"""

from typing import TYPE_CHECKING, Any

from gantool._version import __version__

if TYPE_CHECKING:
    from gantool.tasks.animate import animate
    from gantool.tasks.evaluate.answers import total_answers
    from gantool.tasks.evaluate.choice import choice_page
    from gantool.tasks.evaluate.choice_options import ChoiceOptions
    from gantool.tasks.evaluate.measure import evaluate, save_statistics
    from gantool.tasks.evaluate.options import EvalOptions
    from gantool.tasks.evaluate.result import Evaluation
    from gantool.tasks.evaluate.superres import evaluate_superres
    from gantool.tasks.evaluate.translation import evaluate_translation
    from gantool.tasks.export import export
    from gantool.tasks.import_run import import_run
    from gantool.tasks.interpolate import interpolate
    from gantool.tasks.repaint import edit, harmonize, paint
    from gantool.tasks.report import report
    from gantool.tasks.runs import Run, open_run, runs
    from gantool.tasks.sample import sample
    from gantool.tasks.superres import superres
    from gantool.tasks.superres_files import superres_files
    from gantool.tasks.train import resume, train
    from gantool.tasks.translate import translate

_HOMES = {
    "train": "train",
    "resume": "train",
    "sample": "sample",
    "animate": "animate",
    "interpolate": "interpolate",
    "evaluate": "evaluate.measure",
    "evaluate_superres": "evaluate.superres",
    "evaluate_translation": "evaluate.translation",
    "save_statistics": "evaluate.measure",
    "EvalOptions": "evaluate.options",
    "choice_page": "evaluate.choice",
    "total_answers": "evaluate.answers",
    "ChoiceOptions": "evaluate.choice_options",
    "Evaluation": "evaluate.result",
    "harmonize": "repaint",
    "edit": "repaint",
    "paint": "repaint",
    "superres": "superres",
    "superres_files": "superres_files",
    "translate": "translate",
    "export": "export",
    "import_run": "import_run",
    "report": "report",
    "Run": "runs",
    "open_run": "runs",
    "runs": "runs",
}

__all__ = [
    "ChoiceOptions",
    "EvalOptions",
    "Evaluation",
    "Run",
    "__version__",
    "animate",
    "choice_page",
    "edit",
    "evaluate",
    "evaluate_superres",
    "evaluate_translation",
    "export",
    "harmonize",
    "import_run",
    "interpolate",
    "open_run",
    "paint",
    "report",
    "resume",
    "runs",
    "sample",
    "save_statistics",
    "superres",
    "superres_files",
    "total_answers",
    "train",
    "translate",
]


def __getattr__(name: str) -> Any:
    """Import tasks when they are used: `import gantool` alone never imports torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gantool' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"gantool.tasks.{_HOMES[name]}"), name)
