"""Command lines of narthex and Thanos, as an operator gets them.

The tests start what docs/thanos.md and the rendered chart say, with their own addresses and paths.
"""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/thanos.md"
# Render of the chart's scenario "thanos", which tests/chart compares with the chart.
RENDERED_CHART = ROOT / "tests/chart/golden/thanos.yaml"


def documented(program, section):
    """Returns the arguments of the only command of a program in a section of docs/thanos.md."""
    (text,) = re.findall(
        rf"^## {section}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL
    )
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    (line,) = [line for line in lines if line.startswith(f"{program} ")]
    return shlex.split(line)[1:]


def rendered(component):
    """Returns the arguments of a Thanos component in the rendered chart."""
    pattern = rf"^ +args:\n +- {component}\n((?: +- --.*\n)+)"
    (arguments,) = re.findall(pattern, RENDERED_CHART.read_text(), re.MULTILINE)
    return [component, *re.findall(r"^ +- (.*)$", arguments, re.MULTILINE)]


def thanos(component, section):
    """Returns the arguments of a Thanos component in a section of docs/thanos.md, and those of the
    chart that the section does not have.
    """
    arguments = documented(f"thanos {component}", section)
    return arguments + [
        argument for argument in rendered(component) if flag(argument) not in flags(arguments)
    ]


def flag(argument):
    return argument.split("=")[0]


def flags(arguments):
    return {flag(argument) for argument in arguments}


def with_values(arguments, values):
    """Returns the arguments with other values of flags: a string, a list of strings for a repeated
    flag, or None for a flag without value. A flag that the arguments do not have is added.
    """
    result = [argument for argument in arguments if flag(argument) not in values]
    for name, value in values.items():
        if value is None:
            result.append(name)
        else:
            repeated = [value] if isinstance(value, str) else value
            result += [f"{name}={item}" for item in repeated]
    return result
