"""A real Chromium for tests of the live page, without a window. It dies with the test process, however that ends."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from service.child_process import tied_to_us

BROWSER: Final = Path("/usr/bin/chromium")
DRIVER: Final = Path("/usr/bin/chromedriver")

PATIENCE: Final = 30.0


class Browser:
    """One window of it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Go there, with nothing kept from an earlier page."""
        self.driver.get("about:blank")
        self.said()
        self.requests()
        self.driver.get(url)

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str, *arguments: Any) -> Any:
        """What the function's body returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int) -> None:
        """Give the page this many pixels; a narrow one is a phone."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def prefer(self, theme: str) -> None:
        """`light` or `dark`, as the system would say it."""
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def text(self, selector: str) -> str:
        """The text of the first element that fits, as it is shown; empty without one."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that fit."""
        found = self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)
        return [str(text) for text in found]

    def shows(self, selector: str) -> bool:
        """Whether such an element is there and can be seen."""
        script = "return [...document.querySelectorAll(arguments[0])].some((one) => one.checkVisibility())"
        return bool(self.run(script, selector))

    def click(self, selector: str) -> None:
        """Click on the first element that fits."""
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def until(self, fits: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """What `fits` answers once that is true. Raises AssertionError, with what the page shows, when it never is."""
        deadline = time.monotonic() + patience
        while not (found := fits()):
            assert time.monotonic() < deadline, f"not so after {patience:g} s; the page shows:\n{self.text('body')}"
            time.sleep(0.02)
        return found

    def said(self) -> list[str]:
        """What was written on the console since it was asked last."""
        return [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked since it was asked last."""
        entries = self.driver.get_log("performance")
        events = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def held(self) -> tuple[int, int, int]:
        """What the page holds after a collection of its garbage: bytes of its heap, nodes, listeners."""
        self.command("HeapProfiler.collectGarbage")
        self.command("Performance.enable")
        metrics = {entry["name"]: entry["value"] for entry in self.command("Performance.getMetrics")["metrics"]}
        return metrics["JSHeapUsedSize"], metrics["Nodes"], metrics["JSEventListeners"]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A picture of what can be seen, or of the whole page."""
        answer = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@contextmanager
def running_chromium(width: int = 1440, height: int = 900) -> Iterator[Browser]:
    """A browser, until the context ends."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-precise-memory-info")
    for flag in (*flags, f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(executable_path=str(DRIVER), popen_kw={"preexec_fn": tied_to_us(signal.SIGTERM)})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
