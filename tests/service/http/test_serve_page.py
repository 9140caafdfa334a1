"""The page in a real browser: clicks, drags, keys, on a desktop and on a phone; without errors, and without another host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api as playwright
from playwright.sync_api import Browser, Page, Route, expect
from running import running
from small_output import write_output

from framecast.service.http.settings import ServeSettings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out = tmp_path_factory.mktemp("page") / "out"
    write_output(out)
    with running(ServeSettings(out, stale_after=86400.0)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a desktop; that it has no errors and asks no other host is checked at the end."""
    yield from _open(browser, address, viewport=DESKTOP, reduced_motion="reduce")


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    yield from _open(browser, address, viewport=PHONE, has_touch=True, is_mobile=True, color_scheme="dark")


def _open(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    context = browser.new_context(**options)  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    expect(page.locator("#state-rung")).to_have_text("Radar model")
    expect(page.locator("#moment-kind")).to_have_text("newest observed")
    expect(page.locator("img.leaflet-tile-loaded").first).to_be_attached()
    yield page
    context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def test_the_timeline(opened: Page) -> None:
    slider, kind = opened.locator("#slider"), opened.locator("#moment-kind")
    expect(slider).to_have_attribute("max", "13")
    expect(slider).to_have_value("7")
    opened.keyboard.press("ArrowRight")
    expect(kind).to_have_text("forecast +5 min")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("forecast, 5 minutes ahead"))
    opened.locator("#back").click()
    opened.locator("#back").click()
    expect(kind).to_have_text("observed \N{MINUS SIGN}5 min")
    for _ in range(3):
        opened.keyboard.press("ArrowLeft")
    expect(kind).to_have_text("no frame came")
    expect(opened.locator(".frame:not(.waiting)")).to_have_count(0)
    opened.keyboard.press("End")
    expect(kind).to_have_text("forecast +30 min")
    opened.keyboard.press("n")
    expect(kind).to_have_text("newest observed")
    box = slider.bounding_box()
    assert box is not None
    opened.mouse.move(box["x"] + box["width"] * 7 / 13, box["y"] + 16)
    opened.mouse.down()
    opened.mouse.move(box["x"] + box["width"] - 12, box["y"] + 16, steps=4)
    opened.mouse.up()
    expect(kind).to_have_text("forecast +30 min")
    expect(opened.locator(".frame:not(.waiting) img.leaflet-tile-loaded").first).to_be_visible()
    expect(opened.locator(".frame:not(.waiting) img").first).to_have_attribute("src", re.compile("/rate/30/"))
    opened.locator("#play").click()
    expect(opened.locator("#play")).to_have_attribute("aria-label", "Pause")
    expect(kind).to_have_text(re.compile("observed"))
    opened.locator("#play").click()
    expect(opened.locator("#play")).to_have_attribute("aria-label", "Play")


def test_layers_and_legends(opened: Page) -> None:
    opened.keyboard.press("End")
    title = opened.locator("#legend-title")
    expect(title).to_have_text("Forecast, mm/h")
    opened.get_by_text("Probability", exact=True).click()
    expect(title).to_have_text("Probability of 1 mm/h or more, %")
    opened.locator("#threshold").select_option("5")
    expect(title).to_have_text("Probability of 5 mm/h or more, %")
    expect(opened.locator(".frame:not(.waiting) img[src*='exceedance_5/30']").first).to_be_visible()
    opened.get_by_text("Members", exact=True).click()
    opened.locator("#member").select_option("5")
    expect(title).to_have_text("Member 6, mm/h")
    opened.get_by_text("Sum", exact=True).click()
    expect(title).to_have_text("Forecast sum of 30 min, mm")
    first = opened.locator("#legend-steps li").first
    before = first.evaluate("node => node.style.getPropertyValue('--colour')")
    opened.locator("#settings summary").click()
    held: list[Route] = []
    released = False
    opened.route("**/*palette=uniform*", lambda route: route.continue_() if released else held.append(route))
    opened.locator("#palette").select_option("uniform")
    expect(opened.locator("#moment")).to_have_attribute("aria-busy", "true")
    released = True
    for route in held:
        route.continue_()
    expect(opened.locator(".frame:not(.waiting) img[src*='palette=uniform']").first).to_be_visible()
    expect(opened.locator("#moment")).to_have_attribute("aria-busy", "false")
    assert first.evaluate("node => node.style.getPropertyValue('--colour')") != before
    opened.locator("#theme").select_option("dark")
    assert opened.evaluate("getComputedStyle(document.body).colorScheme || document.documentElement.dataset.theme")
    expect(opened.locator("#alerts-title")).to_have_text("Areas: 1 of 2 likely reach 5 mm/h")
    expect(opened.locator("#alerts-body tbody tr").first).to_have_text("Elsewhereoutside, or without data")
    expect(opened.locator("#alerts-body thead")).to_have_text("Area5 mm/h")
    expect(opened.locator("#banner")).to_contain_text("Lakeside, 5 mm/h 75 % until +30 min")


def test_a_click_gives_the_series(opened: Page) -> None:
    opened.locator("#map").click(position={"x": 560, "y": 380})
    panel = opened.locator("#point")
    expect(panel.locator("path.line.observed")).to_be_visible()
    expect(panel.locator("path.band.quantiles")).to_be_attached()
    expect(panel.locator("path.line.p0")).to_be_attached()
    panel.get_by_text("As a table").click()
    expect(panel.locator("tbody tr")).to_have_count(6)
    assert "point=" in opened.url
    opened.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    opened.keyboard.press("Enter")  # the focus is on the map again: the series at its centre
    expect(panel.locator("path.line.observed")).to_be_visible()
    expect(opened.locator("#live")).not_to_be_empty()
    opened.locator("#settings summary").click()
    opened.locator("#clock").select_option("local")
    expect(opened.locator("#moment-time")).to_contain_text(re.compile(r"\d\d:\d\d \S+"))


def test_a_fallback_is_seen(opened: Page) -> None:
    expect(opened.locator("#state")).to_have_attribute("data-state", "ok")
    expect(opened.locator("#banner")).to_contain_text("This forecast is cut down to 6 lead times of 12, to be on time")
    opened.locator("#domain").select_option("plain")
    expect(opened.locator("#state")).to_have_attribute("data-state", "fallback")
    expect(opened.locator("#state-rung")).to_have_text("Fallback: extrapolation")
    expect(opened.locator("#banner")).to_contain_text("A frame is missing")
    expect(opened.locator("label.segment")).to_have_count(3)  # no members


def test_verification_and_cycles(opened: Page) -> None:
    opened.locator("#tab-map").focus()
    opened.keyboard.press("ArrowRight")
    scores = opened.locator("#view-scores")
    expect(scores.locator(".answer")).to_contain_text("as issued 0.75, persistence 0.55")
    expect(scores.locator("path.line")).to_have_count(4)
    promise = scores.get_by_role("region", name="Drift: in the last 6 days with rain worse than promised by its card")
    expect(promise).to_have_attribute("data-drift", "stale")
    expect(promise.locator("li")).to_have_text(
        "Radar model, Critical success index at 1 mm/h: +0.17 over persistence in the last days, promised +0.2 by its card, of 5 "
        "events not trained on: not worse (p = 0.3)."
    )
    promise.get_by_text("All scores against the promise").click()
    expect(promise.locator("tbody tr").first).to_contain_text("\N{MINUS SIGN}12 %+20 %")
    expect(promise.locator("tbody tr").first).to_contain_text("worse than promised (p = 0.002)")
    scores.locator("#score-lead").select_option("30.0" if scores.locator("option[value='30.0']").count() else "30")
    expect(scores.locator(".answer")).to_contain_text("At 30 min")
    opened.locator("#domain").select_option("plain")
    expect(promise).to_have_count(0)
    expect(scores.get_by_role("region", name="Not judged yet")).to_be_visible()
    opened.locator("#domain").select_option("alps")
    opened.keyboard.press("Tab")
    opened.locator("#tab-cycles").click()
    expect(opened.locator("#view-cycles tbody tr")).to_have_count(2)
    expect(opened.locator("#map")).to_be_hidden()


def test_on_a_phone(phone: Page) -> None:
    wide = phone.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    for name in ("#state", "#domain", "#play", "#slider", "#legend", "#layers"):
        box = phone.locator(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"], name
    phone.locator("#forth").tap()
    expect(phone.locator("#moment-kind")).to_have_text("forecast +5 min")
    phone.touchscreen.tap(190, 420)
    expect(phone.locator("#point path.line.observed")).to_be_visible()
    cover, marker = phone.locator("#point").bounding_box(), phone.locator(".chosen").bounding_box()
    assert cover is not None
    assert marker is not None
    assert marker["y"] < cover["y"]
    expect(phone.locator("#play")).to_be_visible()
    phone.locator("#point-close").tap()
    expect(phone.locator("#point")).to_be_hidden()


def test_the_server_is_gone(browser: Browser, tmp_path: Path) -> None:
    write_output(tmp_path / "out", forecasts=1, frames=1)
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    with running(ServeSettings(tmp_path / "out")) as port:
        page.clock.install()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#state-rung")).to_have_text("Radar model")
    page.clock.fast_forward(20_000)
    expect(page.locator("#state-rung")).to_have_text("No answer of the server")
    context.close()
