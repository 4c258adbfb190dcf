"""Free memory, by the machine's and a container's files."""

from potstill import memory


def test_the_least_limit_counts(tmp_path, monkeypatch):
    assert memory.available() > 0
    machine, group = tmp_path / "meminfo", tmp_path / "group"
    monkeypatch.setattr(memory, "MACHINE", machine)
    monkeypatch.setattr(memory, "GROUP", group)
    monkeypatch.setattr(memory, "_of_process", list)
    assert memory.available() is None
    machine.write_text("MemTotal: 100 kB\nMemAvailable:    50 kB\n")
    assert memory.available() == 50 * 1024
    group.mkdir()
    for name, content in (
        ("memory.max", "40000"),
        ("memory.current", "30000"),
        ("memory.stat", "anon 1\ninactive_file 5000\n"),
    ):
        (group / name).write_text(content)
    assert memory.available() == 15000
    (group / "memory.max").write_text("max\n")
    assert memory.available() == 50 * 1024
    (group / "memory.max").write_text("10")
    assert memory.available() == 0
