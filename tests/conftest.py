"""What every test stands on."""

from collections.abc import Iterator

import pytest
import torch
from agreement import table


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small are slower on several threads, and much slower beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how closely each method agrees with an independent source."""
    lines = table()
    if lines:
        terminalreporter.section("method → checked against → largest error")
        for line in lines:
            terminalreporter.write_line(line)
