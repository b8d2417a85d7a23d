"""The whole tour on one photograph: train, draw samples, draw them in another size, write the report.

    make demo            (or: python examples/demo.py [PICTURE])

Without a picture it takes the Brooklyn Museum's photograph of coins from Pompeii, which scikit-image
carries in its package (no known copyright restrictions).
Every step is an ordinary gantool command and is printed before it runs.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

OUT = Path("demo")


def gantool(*arguments: str) -> dict[str, object]:
    """Run one command, showing it; its progress goes to the terminal, its JSON result comes back."""
    print(f"\n$ gantool {shlex.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "gantool", *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    data: dict[str, object] = json.loads(done.stdout)["data"]
    return data


def example_picture() -> Path:
    """A photograph that an installed package carries."""
    try:
        import skimage.data
    except ImportError:
        raise SystemExit("The demo's photograph comes with scikit-image: pip install 'gantool[examples]'") from None
    return Path(skimage.data.__file__).parent / "coins.png"


def main() -> None:
    """Run the tour."""
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else example_picture()
    began = time.monotonic()
    gantool("train", "consingan", str(picture), "--preset", "fast", "--seed", "0", "--out", str(OUT))
    same = gantool("sample", "latest", "-n", "8", "--out", str(OUT))
    wide = gantool("sample", "latest", "-n", "2", "--size", "320x128", "--out", str(OUT))
    report = gantool("report", "latest", "--out", str(OUT))
    print(f"\nDone in {(time.monotonic() - began) / 60:.1f} minutes.")
    print(f"  8 samples like the picture:  {same['folder']}")
    print(f"  2 samples twice as wide:     {wide['folder']}")
    print(f"  everything on one page:      {report['report']}")


if __name__ == "__main__":
    main()
