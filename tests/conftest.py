"""What every test stands on."""

from collections.abc import Iterator

import agreement
import outcomes
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small are slower on several threads, and much slower beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how closely each method agrees with an independent source, and what became of each clip."""
    for title, lines in (
        ("method → checked against → largest error", agreement.table()),
        ("clip × reader → reader used: frames asked in 200 random orders (20 for auto)", outcomes.table()),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)
