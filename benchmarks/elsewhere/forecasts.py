"""Forecasts by other libraries, in an environment of their own: statsforecast and neuralforecast.

    PEERS/bin/python benchmarks/elsewhere/forecasts.py retail|electricity ets|lstm FILE OUT

FILE is the table, OUT gets a row for each value: series, origin (the number of the last step read),
step, forecast. The last line printed is the CPU seconds of this process. Each network has the size,
the steps, the batches, the loss and the inputs of the spec beside it, given as columns made here:
logarithms, sine and cosine of the calendar.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

HORIZON = {"retail": 12, "electricity": 48}
WINDOWS = {"retail": 1, "electricity": 60}
ZONE = "Australia/Melbourne"


def retail(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file)
    table["ds"] = pd.to_datetime(table["month"])
    return table.rename(columns={"series_id": "unique_id", "turnover": "y"})[
        ["unique_id", "ds", "y"]
    ]


def electricity(file: Path) -> pd.DataFrame:
    table = pd.read_csv(file)
    table["ds"] = pd.to_datetime(table["time"], utc=True).dt.tz_localize(None)
    table = table.rename(columns={"demand": "y"}).assign(unique_id="demand")
    return table[["unique_id", "ds", "y", "temperature", "holiday"]]


def waves(table: pd.DataFrame, name: str, share: pd.Series) -> list[str]:
    table[f"{name}_sin"] = np.sin(2 * np.pi * share)
    table[f"{name}_cos"] = np.cos(2 * np.pi * share)
    return [f"{name}_sin", f"{name}_cos"]


def ets(table: pd.DataFrame, what: str) -> pd.DataFrame:
    from statsforecast import StatsForecast
    from statsforecast.models import AutoETS

    assert what == "retail", "AutoETS is asked for the months alone"
    models = StatsForecast(models=[AutoETS(season_length=12)], freq="MS", n_jobs=1)
    return models.cross_validation(df=table, h=12, n_windows=1).reset_index(drop=True)


def lstm(table: pd.DataFrame, what: str) -> pd.DataFrame:
    import logging

    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MAE
    from neuralforecast.models import LSTM

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    horizon = HORIZON[what]
    if what == "retail":
        table = table.assign(y=np.log(table["y"]))
        known = waves(table, "month", (table["ds"].dt.month - 1) / 12)
        more = {"input_size": 24, "max_steps": 1060, "windows_batch_size": 128}
    else:
        local = table["ds"].dt.tz_localize("UTC").dt.tz_convert(ZONE).dt
        known = ["temperature", "holiday"]
        known += waves(table, "day", (60 * local.hour + local.minute) / 1440)
        known += waves(table, "week", local.dayofweek / 7)
        known += waves(table, "year", (local.dayofyear - 1) / 366)
        more = {"input_size": 336, "max_steps": 708, "windows_batch_size": 64}
    model = LSTM(
        h=horizon,
        encoder_hidden_size=64,
        encoder_n_layers=1,
        decoder_hidden_size=128,
        futr_exog_list=known,
        loss=MAE(),
        learning_rate=0.002,
        scaler_type="standard",
        random_seed=1,
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
        **more,
    )
    models = NeuralForecast(models=[model], freq="MS" if what == "retail" else "30min")
    windows = WINDOWS[what]
    found = models.cross_validation(
        df=table, n_windows=windows, step_size=horizon, val_size=0, refit=False
    )
    found = found.reset_index()
    if what == "retail":
        found["LSTM"] = np.exp(found["LSTM"])
    return found


def main(what: str, how: str, file: Path, out: Path) -> None:
    began = time.process_time()
    table = {"retail": retail, "electricity": electricity}[what](file)
    found = {"ets": ets, "lstm": lstm}[how](table.copy(), what)
    name = {"ets": "AutoETS", "lstm": "LSTM"}[how]
    places = table.groupby("unique_id").cumcount() + 1
    number = dict(zip(zip(table["unique_id"], table["ds"], strict=True), places, strict=True))
    with out.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["series", "origin", "step", "forecast"])
        for row in found.itertuples():
            origin = number[row.unique_id, row.cutoff]
            step = number[row.unique_id, row.ds] - origin
            writer.writerow([row.unique_id, origin, step, getattr(row, name)])
    print(time.process_time() - began)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
