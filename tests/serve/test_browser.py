"""The pages in headless Chromium, clicked through: by mouse, drop and keyboard, by day and by night, on narrow pages;
and that nothing runs which is not the page's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver here")
SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--window-size=1100,900"),
    *("--no-first-run", "--disable-quic", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
DROP = """
const files = new DataTransfer();
files.items.add(new File([arguments[1]], arguments[0]));
document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """At the end nothing was complained of: no script failed, no policy was broken."""
    look(chromium)
    chromium.get_log("browser")
    yield chromium
    said = [entry["message"] for entry in chromium.get_log("browser") if "WebGL" not in entry["message"]]
    assert said == []


def look(driver: webdriver.Chrome, width: int = 1100, scheme: str = "light") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def until_there(driver: webdriver.Chrome, selector: str):
    return WebDriverWait(driver, 60).until(lambda d: d.find_element(By.CSS_SELECTOR, selector))


def fits(driver: webdriver.Chrome) -> bool:
    """Whether nothing but tables within their frames is wider than the page."""
    return driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def drop(driver: webdriver.Chrome, address: str, path: Path) -> None:
    driver.get(address)
    driver.execute_script(DROP, path.name, path.read_text())
    until_there(driver, "#view canvas")


def test_drop_a_crystal_and_turn_it(browser, address, examples):
    drop(browser, address, examples["SrTiO3"])
    assert browser.current_url == f"{address}/report"
    assert browser.title == "SrTiO3, Pm-3m"
    view, picture = browser.find_element(By.ID, "view"), "return document.querySelector('#view canvas').toDataURL()"
    before = browser.execute_script(picture)
    view.send_keys(Keys.ARROW_LEFT)
    assert browser.execute_script(picture) != before
    general, *_ = browser.find_elements(By.CSS_SELECTOR, "[data-view]")
    general.send_keys(Keys.ENTER)
    assert browser.execute_script(picture) == before
    orbit = browser.find_element(By.CSS_SELECTOR, "[data-orbit='2']")
    orbit.click()
    assert orbit.get_attribute("aria-pressed") == "true"
    assert browser.execute_script(picture) != before
    browser.find_element(By.CSS_SELECTOR, "nav a[href='#tensors']").click()
    for width in (1100, 400, 320):
        look(browser, width)
        assert fits(browser), width
    browser.find_element(By.LINK_TEXT, "irrepnet").click()
    assert until_there(browser, "#upload")


def test_choose_a_file_that_is_none(browser, address, examples, tmp_path):
    name = "<img src=x onerror=document.title=1>.cif"
    (tmp_path / name).write_text("data_\n")
    browser.get(address)
    browser.find_element(By.NAME, "file").send_keys(str(tmp_path / name))
    assert "<img src=x" in until_there(browser, "[role=alert]").text
    assert browser.title != "1"
    assert browser.get_log("browser").pop()["message"].endswith("400 (Bad Request)")
    (tmp_path / "large.cif").write_bytes(bytes(8_100_000))
    browser.find_element(By.NAME, "file").send_keys(str(tmp_path / "large.cif"))
    WebDriverWait(browser, 5).until(lambda d: "larger than 8 MB" in d.find_element(By.ID, "state").text)


def test_tour_of_a_group(browser, address):
    browser.get(address)
    browser.find_element(By.LINK_TEXT, "Point groups").click()
    name = until_there(browser, "[name=name]")
    name.send_keys("Td", Keys.ENTER)
    WebDriverWait(browser, 20).until(lambda d: d.current_url == f"{address}/groups/-43m")
    for choice, value, section in (
        ("c", "E", "couplings"),
        ("subgroup", "3m1", "subduction"),
        ("irrep", "E", "covariants"),
    ):
        Select(browser.find_element(By.NAME, choice)).select_by_visible_text(value)
        browser.find_element(By.CSS_SELECTOR, f"#{section} button").click()
        WebDriverWait(browser, 20).until(
            lambda d, choice=choice, value=value, section=section: (
                f"{choice}={value}" in d.current_url and d.current_url.endswith(f"#{section}")
            )
        )
    assert "c=E&" in browser.current_url, "what was chosen before stays"
    assert "-43m: T2 ⊗ T2 → E, copies: 1" in browser.find_element(By.ID, "couplings").text
    assert "A1 + E" in browser.find_element(By.ID, "subduction").text
    pictures = browser.find_elements(By.CSS_SELECTOR, "#covariants img")
    assert len(pictures) == 4
    assert all(browser.execute_script("return arguments[0].naturalWidth", each) == 220 for each in pictures)
    browser.find_element(By.CSS_SELECTOR, "#products tr:last-child td:nth-child(4) a").click()
    WebDriverWait(browser, 20).until(lambda d: "b=E" in d.current_url)
    assert "T2 ⊗ E = T1 + T2" in browser.find_element(By.ID, "couplings").text
    browser.find_element(By.LINK_TEXT, "The double group").click()
    assert "F̄" in until_there(browser, "#characters table").text


@pytest.mark.parametrize("page", ["/", "/groups", "/groups/-6", "/groups/2/m?double=1", "/api"])
def test_pages_by_day_and_night_and_narrow(browser, address, page):
    grounds = []
    for width, scheme in ((1100, "light"), (400, "dark"), (320, "light")):
        look(browser, width, scheme)
        browser.get(address + page)
        assert fits(browser), width
        grounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        browser.switch_to.active_element.send_keys(Keys.TAB)  # what is focused by keyboard is seen to be
        focused = "return getComputedStyle(document.activeElement).outlineStyle"
        assert browser.execute_script(focused) == "solid"
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 25, 29)", "rgb(255, 255, 255)"]


def test_nothing_foreign_runs(browser, address):
    browser.get(address)
    browser.execute_script(
        "document.body.insertAdjacentHTML('beforeend', '<b id=own onclick=\"document.title=1\">x</b>');"
        "const script = document.createElement('script'); script.textContent = 'document.title = 2';"
        "document.body.append(script); document.getElementById('own').click()"
    )
    assert browser.title.startswith("All that")
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert len(complaints) == 4  # of both, by the policy of the page and by that of its header
    assert all("Content Security Policy" in each for each in complaints)
