"""Keys as they were when their bytes were written, so that these need not be read again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from online_gmm.spark.track import Track

DIGEST = 16
MOST = 64 * 2**20
"""Bytes of states whose keys are kept; in memory a key takes two to three times its bytes."""


class LiveTracks:
    """Tracks by what they were written as: whoever has the same bytes may go on with the track.

    A track that has been read from its bytes goes on exactly as the one that was written. So it
    does not matter what is found here: a state from before a failure, or one that another process
    has written, is not, and is read.

    Parameters
    ----------
    most
        Bytes of states at most; those that were not asked for longest go first.

    Examples
    --------
    >>> from online_gmm import OnlineGMM
    >>> tracks, track = LiveTracks(), Track(OnlineGMM(2, seed=1))
    >>> tracks.keep(track.to_bytes(), track)
    >>> tracks.take(track.to_bytes()) is track
    True
    >>> tracks.take(track.to_bytes()) is None
    True
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._tracks: OrderedDict[bytes, tuple[int, Track]] = OrderedDict()

    def take(self, data: bytes) -> Track | None:
        """The track of these bytes, which is not here any more then; None if it is not known."""
        size, track = self._tracks.pop(_digest(data), (0, None))
        self._size -= size
        return track

    def keep(self, data: bytes, track: Track) -> None:
        """Remember a track that has just been written, and is not changed by others."""
        if len(data) > self._most:
            return
        self.take(data)
        self._tracks[_digest(data)] = len(data), track
        self._size += len(data)
        while self._size > self._most:
            _, (size, _) = self._tracks.popitem(last=False)
            self._size -= size


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()
