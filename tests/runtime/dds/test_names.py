"""Names of ROS 2 topics and the DDS domain."""

from __future__ import annotations

import pytest

from outrider.runtime.dds import domain_id, topic_name


@pytest.mark.parametrize(
    ("topic", "namespace", "expected"),
    [
        ("/diagnostics", "", "rt/diagnostics"),
        ("/diagnostics", "/left", "rt/diagnostics"),
        ("outrider/verdict", "", "rt/outrider/verdict"),
        ("outrider/verdict", "/", "rt/outrider/verdict"),
        ("outrider/verdict", "left", "rt/left/outrider/verdict"),
        ("outrider/verdict", "/robot_1/left/", "rt/robot_1/left/outrider/verdict"),
        ("a" * 246, "", "rt/" + "a" * 246),
    ],
)
def test_names_are_those_of_ros(topic, namespace, expected):
    assert topic_name(topic, namespace) == expected


@pytest.mark.parametrize(
    ("topic", "namespace"),
    [
        ("", ""), ("/", ""), ("a/", ""), ("a//b", ""), ("1a", ""), ("a/2", ""), ("a b", ""), ("~/a", ""), ("ä", ""),
        ("{node}/a", ""), ("a", "front camera"), ("a", "1"), ("a", "//b"), ("a", "b//"), ("a" * 247, ""), ("a\n", ""),
    ],
)  # fmt: skip
def test_names_that_ros_refuses_are_refused(topic, namespace):
    with pytest.raises(ValueError, match=r"expected a ROS 2 name, words of letters, digits and _ .* got "):
        topic_name(topic, namespace)


def test_the_domain_is_that_of_the_environment(monkeypatch):
    assert domain_id() == 0
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert domain_id() == 42
    assert domain_id(7) == 7
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    assert domain_id() == 0
    for wrong in ("-1", "233", "x", "٣"):
        monkeypatch.setenv("ROS_DOMAIN_ID", wrong)
        with pytest.raises(ValueError, match=f"expected ROS_DOMAIN_ID from 0 to 232, got '{wrong}'"):
            domain_id()
