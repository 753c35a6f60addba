"""Make the site: `deepnp book`, or `python -m docs.site`."""

import argparse
import logging
import webbrowser
from pathlib import Path

from docs.site.links import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Make the site, and open it if that is asked for; returns the exit code."""
    what = "Make the book of derivatives: a web site that opens from its files."
    parser = argparse.ArgumentParser("deepnp book", description=what)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="folder for the site (default: %(default)s)")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    options = parser.parse_args(arguments)
    try:
        from mkdocs.exceptions import Abort

        from docs.site.book import build
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("docs", "deepnp", "rl"):
            raise
        parser.exit(1, f'error: the book needs {error.name}: pip install -e ".[docs]"\n')
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        index = build(options.out.resolve()) / "index.html"
    except (Abort, OSError, ValueError) as error:
        parser.exit(1, f"error: {error}\n")
    print(index)
    if options.open and not webbrowser.open(index.as_uri()):
        print("no browser was found: open the file by hand")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
