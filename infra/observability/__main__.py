"""Writes what is generated: rules.yaml, dashboards/, and the same as templates of the charts."""

from __future__ import annotations

from infra.observability import charted, dashboards, rules


def main() -> None:
    """Whole files, as the tests expect them."""
    rules.RULES.write_text(rules.text(), encoding="utf-8")
    dashboards.FOLDER.mkdir(exist_ok=True)
    for name, text in dashboards.documents().items():
        (dashboards.FOLDER / name).write_text(text, encoding="utf-8")
    charted.write()


if __name__ == "__main__":
    main()
