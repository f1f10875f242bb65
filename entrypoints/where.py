"""where: say how to look at the curves in the MLflow UI. Run: python -m entrypoints.where"""


def main() -> None:
    """Print the command that starts the UI and the page that shows the curves."""
    from influence import tracking

    print(tracking.where())


if __name__ == "__main__":
    main()
