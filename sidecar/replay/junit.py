"""Figures as JUnit XML, which every CI can show; pure."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET  # only written, never read

from sidecar.replay.demands import Verdict
from sidecar.replay.metrics import Figures


def junit(found: Figures, verdicts: Sequence[Verdict]) -> bytes:
    """One case a demand, one a labelled episode, one a false takedown."""
    suite = ET.Element("testsuite", name="sidecar replay")
    failures = 0
    for one in verdicts:
        short = f"{one.found}, and {one.wanted:g} was asked for"
        failures += _case(suite, "demands", one.name, None if one.met else short)
    for detection in found.detections:
        span = detection.episode
        name = f"{span.stream} {span.category} {span.start:g}-{span.end:g} s"
        told = None if detection.action else "was there and was not taken down"
        failures += _case(suite, "labels", name, told, detection.after_s or 0.0)
    for one_false in found.false:
        name = f"{one_false.stream} {one_false.category} at {one_false.at:g} s"
        failures += _case(suite, "false takedowns", name, "nothing of it was labelled")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _case(
    suite: ET.Element, group: str, name: str, told: str | None, seconds: float = 0.0
) -> bool:
    """Adds a case; whether it failed."""
    case = ET.SubElement(
        suite, "testcase", classname=group, name=name, time=f"{seconds:.3f}"
    )
    if told is not None:
        ET.SubElement(case, "failure", message=told)
    return told is not None
