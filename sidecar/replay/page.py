"""A self-contained HTML page: no script, nothing is fetched; dark and light; pure."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fbfbf9; --card: #ffffff; --ink: #1d2025;
  --soft: #5b616b; --line: #d9dce1; --band: #b3541e; --c0: #0b62a4; --c1: #8a3ffc;
  --c2: #0a7a55; --c3: #9a6700; --bad: #b42318; --good: #0a7a55; --unknown: #8b919b; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --card: #1c1f25;
  --ink: #e8eaed; --soft: #a2a9b4; --line: #353a43; --band: #f0a36b; --c0: #6cb6ff;
  --c1: #c4a1ff; --c2: #4cd0a0; --c3: #e3b341; --bad: #ff8a80; --good: #4cd0a0;
  --unknown: #767d88; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem;
  background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .8rem 1rem; margin: .8rem 0; }
.cards { display: grid; gap: .8rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
.cards section { margin: 0; } .cards b { display: block; font-size: 1.5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--line); } th { color: var(--soft); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
.name { font-weight: 600; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; margin-top: .4rem; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.grid { stroke: var(--line); stroke-width: 1; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .85rem;
  color: var(--soft); } .legend i { display: inline-block; width: 1.1rem; height: .6rem;
  margin-right: .35rem; border-radius: 2px; }
.scroll { overflow-x: auto; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document; `parts` are HTML."""
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def cards(figures: Iterable[tuple[str, str, str]]) -> str:
    """Figures side by side: what, how much, and its interval or a remark."""
    made = "".join(
        f'<section><span class="soft">{escape(name)}</span><b>{escape(value)}</b>'
        f'<span class="soft">{escape(remark)}</span></section>'
        for name, value, remark in figures
    )
    return f'<div class="cards">{made}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of texts."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """What the colours (of CSS) mean."""
    made = "".join(
        f'<span><i style="background:{colour}"></i>{escape(text)}</span>'
        for text, colour in entries
    )
    return f'<div class="legend">{made}</div>'
