"""Audio in, audio out: decode, cut, mix down, resample.

    path · pipe · file object · bytes · samples ─ load ─▶ Waveform (mono float32, 16 kHz, warnings)
                                                ─ stream ─▶ blocks of the same samples, in bounded memory

WAV, FLAC, OGG, OPUS and MP3 (and whatever else the installed libsndfile reads) at any sample rate and with any number
of channels; where the program ffmpeg is installed, whatever that reads, too. Channels are averaged, or one is chosen.
Rates are converted by soxr at quality `HQ` (passband to 0.91 of the lower Nyquist frequency, stopband at 20 bits).

Whatever length a header states, what is there is read: the file is decoded to its end, and a warning gives both lengths
where they differ by more than `LENGTH_TOLERANCE`. Files that were joined (MP3, Ogg, FLAC, WAV, …) are read one after
the other.

What is odd but can be analysed is answered, with a line in `Waveform.warnings`: silence, a constant (DC), a single
sample, clipping, a narrow band, channels that cancel out, a truncated file. What cannot be analysed is an `AudioError`
that names the file: missing, empty, damaged, not audio, NaN or infinite samples, a cut outside the file.

    timing      seconds ↔ samples ↔ frames
    signal      the check of samples and sample rates
    pieces      a file put together from ranges of another
    mpeg        where the frames of an MP3 file lie
    containers  which streams a file holds, and what their headers state
    messages    keeps libmpg123 off standard error
    decode      streams → blocks of samples (soundfile)
    ffmpeg      the same by the program ffmpeg
    decoder     what all decoders offer; samples in memory, one channel of a recording
    forms       recordings as other libraries pass them
    opening     any source → a decoder
    cut         which frames to decode
    hints       what a file is that is no audio
    sources     paths, pipes, sockets, file objects → a seekable file
    levels      what is odd about the sound itself
    io          load, stream, duration, write (soxr)
    channels    several channels in one pass
    loudness    where a signal is loud, to the sample
    silero      the network of Silero VAD
    activity    where there is speech, and whether there can be
    pauses      speech without its pauses
    augment     room, noise and microphone for training data, and to test a model under them
    transmission  what telephone lines, low rates and codecs do to a recording
"""

from .channels import OpenRecording, open_channels
from .cut import END_TOLERANCE, LENGTH_TOLERANCE
from .forms import NamedBytes, common_form
from .io import Properties, StreamResampler, Waveform, duration, load, properties, stream, write
from .levels import CLIPPED_SHARE, SILENCE_PEAK
from .opening import Channel, RawPcm, Source
from .sources import MAX_STREAM_BYTES, STREAM_TIMEOUT, is_stream, save

__all__ = [
    "CLIPPED_SHARE",
    "END_TOLERANCE",
    "LENGTH_TOLERANCE",
    "MAX_STREAM_BYTES",
    "SILENCE_PEAK",
    "STREAM_TIMEOUT",
    "Channel",
    "NamedBytes",
    "OpenRecording",
    "Properties",
    "RawPcm",
    "Source",
    "StreamResampler",
    "Waveform",
    "common_form",
    "duration",
    "is_stream",
    "load",
    "open_channels",
    "properties",
    "save",
    "stream",
    "write",
]
