"""The page can be read: in its language, both themes, any width, without a mouse, on paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from flows.texts import Texts
from tests.flows.page.browser import Browser, Page
from tests.flows.page.site import assert_drawn, drawn, shown

# Every chart is drawn as wide as it has room.
CHARTS_FIT = """[...document.querySelectorAll(".plot:not([hidden])")].every((plot) =>
    Math.abs(plot.querySelector("svg").getBoundingClientRect().width - plot.clientWidth) < 2)"""

# Each text's contrast with what is behind it, by WCAG's formula; those below 4.5.
PALE_TEXTS = """(() => {
    const light = (color) => {
        const [red, green, blue] = color.match(/[\\d.]+/g).map(Number).map((part) => {
            const share = part / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const pale = [];
    for (const one of document.querySelectorAll("body *:not(script):not(svg):not(svg *)")) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !one.checkVisibility() || one.closest(":disabled")) continue;
        const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) pale.push([one.textContent.slice(0, 40), contrast]);
    }
    return pale;
})()"""


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_text_is_in_the_language(
    page: Page, changed: Callable[..., Path], language: str
) -> None:
    page.open(changed(language=language))
    text = page.js("document.body.innerText")
    assert re.findall(r"\b(?:page|column|value|sheet|format)\.\w+", text) == []
    texts = Texts(language)
    for key in ("page.title", "page.errors", "page.costs.about", "column.attempted_count"):
        assert texts.say(key) in text
    other = Texts("es" if language == "en" else "en")
    for key in ("page.title", "page.errors", "page.costs.about", "page.delivery.about"):
        assert other.say(key) not in text
    months = {"en": "Nov 10", "es": "10 nov"}
    assert page.text("#as-of").startswith(
        {"en": "As of Nov 10, 2026, 06:00", "es": "Situación a 10 nov 2026, 6:00"}[language]
    )
    axis = " ".join(page.texts("[data-chart=delivery] .xtick"))
    assert {"en": "Nov", "es": "nov"}[language] in axis, (axis, months)


def test_both_themes_can_be_read(page: Page, site: Path) -> None:
    backgrounds = set()
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        page.open(site, "period=all&account=all")
        page.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.js("document.documentElement.dataset.theme") == scheme
        backgrounds.add(page.js("getComputedStyle(document.body).backgroundColor"))
        assert page.js(PALE_TEXTS) == []
        # Texts of charts are drawn in the theme's colours too.
        assert page.js(
            "getComputedStyle(document.querySelector('[data-chart=delivery] .ytick text')).fill"
        ) == page.js("getComputedStyle(document.querySelector('.quiet')).color")
    assert len(backgrounds) == 2
    page.js("document.getElementById('theme').click()")
    assert page.js("document.documentElement.dataset.theme") == "light"
    assert page.js("document.getElementById('theme').ariaPressed") == "false"
    assert page.complaints() == []


@pytest.mark.parametrize("widths", [(390, 320), (1280, 768, 2200)])
def test_no_width_is_too_narrow(browser: Browser, site: Path, widths: tuple[int, ...]) -> None:
    with browser.page(widths[0], 900) as page:
        page.open(site, "period=all&account=all")
        for width in widths:
            page.size(width, 900)
            page.wait(CHARTS_FIT)
            assert page.js("document.documentElement.scrollWidth") <= width
            assert_drawn(page)
            cards = page.js(
                "[...document.querySelectorAll('.card')].filter((card) =>"
                " card.scrollWidth > card.clientWidth + 1).map((card) => card.textContent)"
            )
            assert cards == []


def test_what_is_chosen_is_in_the_address_and_can_be_chosen_by_keyboard(
    page: Page, site: Path
) -> None:
    page.open(site)
    page.js("delete document.documentElement.dataset.drawn")
    page.js("document.getElementById('period').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call(
            "Input.dispatchKeyEvent", type=kind, key="End", code="End", windowsVirtualKeyCode=35
        )
    assert page.wait("document.documentElement.dataset.drawn ?? ''") == "all all"
    assert "period=all" in page.js("location.hash")
    page.open(site, "period=2026-10&account=all")
    assert page.js("document.getElementById('period').value") == "2026-10"
    page.open(site, "period=nonsense&account=<b>")
    assert page.js("document.getElementById('period').value") == "last_30_days"
    assert page.complaints() == []


def test_charts_have_tables_and_controls_have_names(shared: Page) -> None:
    shared.choose("last_30_days", "all")
    shared.js("document.querySelectorAll('figure details').forEach((one) => { one.open = true; })")
    shared.wait("document.querySelectorAll('figure table').length === 5")
    days = shared.rows("[data-chart=delivery]")
    _, line = drawn(shared, "delivery")
    assert [row[3] for row in reversed(days) if row[3] != "–"] == [
        shown(rate, "share") for rate in line.values()
    ]
    assert len(shared.rows("[data-chart=hours]")) == 24
    shared.choose("last_7_days", "all")
    assert len(shared.rows("[data-chart=delivery]")) == 7
    tree = shared.call("Accessibility.getFullAXTree")["nodes"]
    named = {"combobox", "button", "img", "radio", "table", "region", "link", "heading"}
    nameless = [
        node
        for node in tree
        if not node["ignored"]
        and node["role"]["value"] in named - {"table"}
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    levels = shared.js("[...document.querySelectorAll('h1, h2, h3')].map((one) => one.tagName)")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    assert all(int(after[1]) <= int(before[1]) + 1 for before, after in pairwise(levels))


def test_it_prints_in_light_colours_and_comes_back(page: Page, site: Path) -> None:
    page.prefer("dark")
    page.open(site)
    assert page.printed().startswith(b"%PDF")
    assert page.js("document.documentElement.dataset.theme") == "dark"
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.js("document.documentElement.dataset.theme") == "light"
    assert_drawn(page)
    assert lost_on_paper(page) == []
    page.js("dispatchEvent(new Event('afterprint'))")
    assert page.js("document.documentElement.dataset.theme") == "dark"
    assert page.complaints() == []


def lost_on_paper(page: Page) -> list[str]:
    """What is to be seen of a long table and of tabs on paper, but is not."""
    page.prefer("dark", "print")
    lost = page.js(
        "[...document.querySelectorAll('#errors tbody tr, #recipients tbody tr,"
        " .tabs label:has(:checked)')].filter((one) => !one.checkVisibility())"
        ".map((one) => one.textContent)"
    )
    assert page.js("document.querySelectorAll('#recipients tbody tr').length") == 20
    others = page.js(
        "[...document.querySelectorAll('.tabs label:not(:has(:checked)), .more')]"
        ".filter((one) => one.checkVisibility()).length"
    )
    assert others == 0
    page.prefer("dark")
    return lost


def test_a_long_table_shows_its_first_rows_and_the_rest_when_asked(shared: Page) -> None:
    shared.choose("all", "all")
    shown_rows = (
        "[...document.querySelectorAll('#recipients tbody tr')]"
        ".filter((row) => row.checkVisibility()).length"
    )
    assert shared.js(shown_rows) == 10
    shared.js("document.querySelector('#recipients .more').click()")
    assert shared.js(shown_rows) == 20
    assert shared.js("document.querySelector('#recipients .more')") is None
    assert shared.js("document.activeElement === document.querySelector('#recipients .scroll')")
