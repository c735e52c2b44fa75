"""A machine that fails: one sentence, the published file intact, and a recovery that works."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import assert_same, make, shop_config, tables


def genome(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GENOME_", "DAGSTER"))}
    return subprocess.run(
        [sys.executable, "-m", "genome_pipeline.command.cli", *arguments, "--config", str(config), "--quiet"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def assert_says(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("genome: ")
    assert words in line


@pytest.fixture
def on_small_disk(early_shop: Path) -> Iterator[Path]:
    """The early shop's config, its home moved to a disk of 64 MB."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a disk")
    disk = early_shop.parent / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        shutil.copytree(early_shop.parent / "home", disk / "home")
        config = early_shop.parent / "small.toml"
        text = early_shop.read_text(encoding="utf-8")
        config.write_text(text.replace(str(early_shop.parent / "home"), str(disk / "home")), encoding="utf-8")
        yield config
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def assert_as_never_disturbed(settings: Settings, folder: Path) -> None:
    other, _ = make(shop_config(folder, home="other"), None, "2020-04-01")
    assert_same(tables(settings.warehouse_path), tables(other.warehouse_path))


@pytest.mark.slow
def test_a_full_disk(on_small_disk: Path) -> None:
    settings = load_settings(on_small_disk)
    published = settings.published_path.read_bytes()
    free = shutil.disk_usage(settings.home).free
    ballast = settings.home.parent / "ballast"
    for left in (0, 300_000, 3_000_000):
        ballast.write_bytes(bytes(free - left))
        assert_says(genome(on_small_disk, "run", "--as-of", "2020-04-01"), "no space is left")
        ballast.unlink()
        assert settings.published_path.read_bytes() == published
    assert genome(on_small_disk, "run", "--as-of", "2020-04-01").returncode == 0
    assert_as_never_disturbed(settings, on_small_disk.parent)


@pytest.mark.slow
def test_a_disk_that_cannot_be_written(on_small_disk: Path) -> None:
    settings = load_settings(on_small_disk)
    published, disk = settings.published_path.read_bytes(), str(settings.home.parent)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert_says(genome(on_small_disk, "run", "--as-of", "2020-04-01"), "cannot be written")
    assert settings.published_path.read_bytes() == published
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert genome(on_small_disk, "run", "--as-of", "2020-04-01").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", ["header", "blocks"])
def test_a_damaged_warehouse_is_rebuilt(early_shop: Path, place: str) -> None:
    settings = load_settings(early_shop)
    published = settings.published_path.read_bytes()
    content = bytearray(settings.warehouse_path.read_bytes())
    first, last = (0, 4096) if place == "header" else (3 * 4096, len(content))
    generator = random.Random(3)
    for _ in range(200):
        content[generator.randrange(first, last)] ^= 0xFF
    settings.warehouse_path.write_bytes(content)
    assert_says(genome(early_shop, "run", "--as-of", "2020-04-01"), "`genome rebuild`")
    assert settings.published_path.read_bytes() == published
    done = genome(early_shop, "rebuild")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in settings.home.glob("warehouse*")) == ["warehouse.duckdb"]
    other, _ = make(shop_config(early_shop.parent, home="other"))
    assert_same(tables(settings.warehouse_path), tables(other.warehouse_path))


def begun(config: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GENOME_", "DAGSTER"))}
    return subprocess.Popen(
        [sys.executable, "-m", "genome_pipeline.command.cli", *arguments, "--config", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("stage", ["Reading the source", "Measuring genomes", "Training value models"])
def test_a_run_that_is_interrupted_says_so(early_shop: Path, stage: str, number: signal.Signals, code: int) -> None:
    settings = load_settings(early_shop)
    published = settings.published_path.read_bytes()
    process = begun(early_shop, "run", "--as-of", "2020-04-01")
    assert process.stderr is not None
    assert any(stage in line for line in process.stderr)
    process.send_signal(number)
    *_, last = process.stderr.read().splitlines()
    assert last == "genome: interrupted; what was published before stays, and the same command takes up from here"
    assert process.wait() == code
    assert settings.published_path.read_bytes() == published


@pytest.mark.slow
def test_several_runs_at_once_on_an_empty_home_make_what_one_makes(early_shop: Path) -> None:
    config = shop_config(early_shop.parent, home="empty")
    processes = [begun(config, "run", "--as-of", "2020-03-01", "--quiet") for _ in range(4)]
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    assert not [text for text in told if "Traceback" in text]
    assert_same(tables(load_settings(config).warehouse_path), tables(load_settings(early_shop).warehouse_path))
