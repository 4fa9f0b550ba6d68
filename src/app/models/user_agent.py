"""What a browser calls itself, in words. A hint for its owner, and no more: anybody may send any text."""

BROWSERS = {  # the first that is found: most also name those whom they were like
    "Edg": "Edge",
    "EdgA": "Edge",
    "EdgiOS": "Edge",
    "OPR": "Opera",
    "OPT": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
    "curl": "curl",
}
SYSTEMS = {
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Mac OS X": "a Mac",
    "Linux": "Linux",
}


def in_words(user_agent: str) -> str:
    """Return `Firefox on Linux` for what Firefox sends there."""
    browser = next((name for part, name in BROWSERS.items() if f"{part}/" in user_agent), "A browser")
    system = next((f" on {name}" for part, name in SYSTEMS.items() if part in user_agent), "")
    return browser + system
