"""where: say how to look at the curves in the MLflow UI. Run: python -m entrypoints.where"""

import sys

from influence.errors import InputError


def main() -> None:
    """Print the command that starts the UI and the page that shows the curves."""
    from influence.tracking import run

    print(run.where())


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"influence: {error}", file=sys.stderr)
        sys.exit(2)
