"""The headers of a browser. Every request of the benchmark carries them, from wrk and from Python alike."""

from collections.abc import Mapping

import httpx

# As Chromium 156 on Linux sends them when the user enters a URL.
NAVIGATION: Mapping[str, str] = {
    "Connection": "keep-alive",
    "sec-ch-ua": '"Not:A-Brand";v="8", "Chromium";v="156"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
}
# The headers that differ when the user submits a form, and when the page loads its style sheet.
FORM = {
    "Cache-Control": "max-age=0",
    "Content-Type": "application/x-www-form-urlencoded",
    "Sec-Fetch-Site": "same-origin",
}
STYLE_SHEET = {
    "Accept": "text/css,*/*;q=0.1",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Dest": "style",
}
ONLY_OF_NAVIGATION = ("Sec-Fetch-User", "Upgrade-Insecure-Requests")


def headers_for(url: str, path: str, *, is_form: bool = False, cookies: str = "") -> dict[str, str]:
    """Return the headers of a request for a path of the site at the URL."""
    headers = dict(NAVIGATION)
    if is_form:
        headers |= FORM | {"Origin": url, "Referer": f"{url}{path}"}
    elif path.endswith(".css"):
        headers |= STYLE_SHEET | {"Referer": f"{url}/"}
        for name in ONLY_OF_NAVIGATION:
            del headers[name]
    if cookies:
        headers["Cookie"] = cookies
    return headers


class Browser(httpx.Client):
    """An HTTP client with the headers of a browser, which keeps the cookies that it gets."""

    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, timeout=20)
        self.url = url

    def open(self, path: str, *, cookies: str = "") -> httpx.Response:
        return self.get(path, headers=headers_for(self.url, path, cookies=cookies))

    def submit(self, path: str, form: Mapping[str, str]) -> httpx.Response:
        return self.post(path, data=form, headers=headers_for(self.url, path, is_form=True))

    def cookie_header(self, *names: str) -> str:
        """Return all cookies, or those with the names, as a Cookie header."""
        kept = self.cookies.items()
        return "; ".join(f"{name}={value}" for name, value in kept if name in names or not names)
