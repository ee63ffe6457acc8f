"""What a data set of any size takes, computed from rates that docs/speed.md and docs/own-music.md tell."""

from results.shown import table
from theanoish.experiments.cost import cost
from theanoish.experiments.paper import TABLES
from theanoish.representation import USUAL_SAMPLES, WINDOW_SAMPLES
from theanoish.settings import Settings

CLIPS, CORES = (25_863, 100_000, 1_000_000), (1, 16, 100)
MP3_BYTES = 3e9 / 25_863  # of a clip
# Per second on one core, unless said otherwise
BUILT = 76 / 2  # clips, from MP3 to samples and log-mel frames
WRITTEN = 700  # clips, by the one process of a build that writes
OPERATIONS = {"mel": 336 * 257e6, "raw": 147 * 620e6}  # floating-point, of training
SONGS = 1 / 0.66  # of 4 minutes, from MP3 to tags
WINDOWS = 47 * 80  # predicted, of mel 256/256
UPDATES, MINIBATCH = 5_000_000, 10  # of the paper, for the smallest of these data sets
SEEDS = 3
PROCESS_GB, TABLES_GB = 0.5, 0.47e-6  # of a process that trains, and more of it for each clip


def training_hours(settings: Settings, clips: int) -> float:
    """Of one network on one core, with as many updates per clip as the paper's."""
    return UPDATES * clips / CLIPS[0] * cost(settings).operations / OPERATIONS[settings.frontend] / 3600


def costs() -> str:
    """Hours, disk and memory by the number of clips and of cores."""
    networks = {row.settings for name, rows in TABLES.items() if name != "future" for row in rows}
    mel, raw = Settings(frontend="mel"), Settings()
    rows = []
    for clips in CLIPS:
        each = [training_hours(settings, clips) for settings in networks]
        stored = clips * sum(r.rows_of(USUAL_SAMPLES) * r.row_bytes for r in (mel.representation, raw.representation))
        longest = [shown(training_hours(settings, clips)) for settings in (mel, raw)]
        for cores in CORES:
            values = {
                "clips": f"{clips:,}",
                "cores": str(cores),
                "disk, GB": f"{shown((clips * MP3_BYTES + stored) / 1e9)}",
                "build": shown(clips / min(BUILT * cores, WRITTEN) / 3600),
                "train mel / raw": " / ".join(longest),
                f"train {len(networks) * SEEDS} networks": shown(max(*each, SEEDS * sum(each) / cores)),
                "evaluate": shown(0.2 * clips * (USUAL_SAMPLES // WINDOW_SAMPLES) / WINDOWS / 3600),
                "tag": shown(clips / (SONGS * cores) / 3600),
                "memory, GB": shown(cores * (PROCESS_GB + TABLES_GB * clips)),
                "reads, GB/s": shown(cores * read_bytes(mel) / 1e9),
            }
            rows.append(list(values.values()))
    return table(list(values), rows)


def read_bytes(settings: Settings) -> float:
    """Per second, by one process that trains."""
    fed = settings.representation
    updates = OPERATIONS[settings.frontend] / cost(settings).operations
    return float(updates * MINIBATCH * fed.rows_of(WINDOW_SAMPLES) * fed.row_bytes)


def shown(value: float) -> str:
    """Two digits of it."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


if __name__ == "__main__":
    print(costs())
