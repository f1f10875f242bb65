"""The environment of the libraries that benchmarks compare with, apart from the product's own.

Run: python -m benchmarks.environment
Makes .venv-peers, or completes it: the product in the versions of constraints.txt, then
benchmarks/requirements.txt without dependencies, so that nothing comes along that the product's
libraries would trip over. It is ready once the product starts in it.
"""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".venv-peers"
INSTALLS = (
    ("--upgrade-strategy", "only-if-needed", "-c", "constraints.txt", "-e", "."),
    ("--no-deps", "-r", "benchmarks/requirements.txt"),
)
# Importing the package alone would prove little: transformers imports most of itself when it is
# asked for a class.
STARTS = (
    ("-m", "entrypoints.train", "--help"),
    ("-c", "import transformers.models.bert; transformers.BertForSequenceClassification"),
)


def main() -> None:
    """Make the environment and start the product in it; exit with the status of what fails."""
    venv.create(PLACE, with_pip=True)
    python = PLACE / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    for options in INSTALLS:
        _run(python, "-m", "pip", "install", "--quiet", *options)
    for options in STARTS:
        _run(python, *options)
    shown = python.relative_to(ROOT)
    print(f"ready: {shown} -m benchmarks.peers, {shown} -m benchmarks.sampling")


def _run(python: Path, *options: str) -> None:
    command = [str(python), *options]
    if status := subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode:
        print(f"benchmarks.environment: this failed: {' '.join(command)}", file=sys.stderr)
        sys.exit(status)


if __name__ == "__main__":
    main()
