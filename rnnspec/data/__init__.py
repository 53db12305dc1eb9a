"""Data files to arrays: readers, facts of the training rows, an encoded cache, batches.

    files ─read─▶ chunks of raw cells ─decode─▶ values ─┬─ survey ─▶ Facts
                                                        └─ encode ─▶ Dataset ─collate─▶ Batch

Everything streams: memory depends on the longest row, the vocabulary and the number of rows (a
few bytes each), never on the size of the files. Of a table of series the numbers are held, in 4
bytes each.
"""

from rnnspec.data.batches import epoch_batches, in_order_batches
from rnnspec.data.dataset import Batch, Dataset
from rnnspec.data.encode import encode
from rnnspec.data.naive import Naive
from rnnspec.data.readers import Progress, read
from rnnspec.data.reading import Reading
from rnnspec.data.rows import Chunk
from rnnspec.data.survey import survey
