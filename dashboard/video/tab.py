"""The Video tab: a video in, every face in it analysed by every model over time."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.components.display import model_display
from dashboard.components.events import CHOOSE_FACE, CLICKED, sent_value
from dashboard.components.failures import as_message, show_errors
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.templates import macro, message
from dashboard.components.uploads import uploaded_path
from dashboard.video import view
from dashboard.video.figures import timeline_figure
from dashboard.video.session import LIMITS, Timeline, VideoSession
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.media.video_files import SUFFIXES
from fer_models.media.video_segments import frame_at
from fer_models.video.run import VideoRun, run_video

_TITLE: Final = "How do the answers change over a video?"
_HINT: Final = (
    "Every face is tracked and classified by every model several times a second. You get an annotated "
    "video, a timeline per face, and all numbers as files."
)
_UNEXPECTED: Final = "Something went wrong while analysing this video. Try again, or try another video."
#: Seconds after which an idle session's video and results are deleted.
_FORGET: Final = 3600
_FORGOTTEN: Final = "This video was forgotten after an hour without a change. Try it again."
#: Videos analysed at the same time; each model still works on one batch at a time.
_AT_ONCE: Final = 2
#: Seconds between two updates of the progress.
_UPDATE_S: Final = 0.4

_PLAYER: Final = (Path(__file__).parents[1] / "static" / "video.js").read_text(encoding="utf-8")
_TRACK_SHOWN: Final = """
watch('value', () => window.dispatchEvent(new Event('fer-video-track')));
"""
# A frame that was asked for goes to Compare as if it had been dropped there.
_FRAME_SENT: Final = """
watch('value', () => {
  const picture = element.querySelector('[data-frame-name]');
  if (!picture) return;
  const bytes = Uint8Array.from(atob(picture.src.split(',')[1]), (sign) => sign.charCodeAt(0));
  const file = new File([bytes], picture.dataset.frameName, {type: 'image/jpeg'});
  window.dispatchEvent(new CustomEvent('fer-compare', {detail: file}));
});
"""

Updates: TypeAlias = dict[Any, Any]


class VideoTab:
    """The components of one page and what each callback does to them. Nothing of any session is kept here."""

    def __init__(self, analyzer: Analyzer, uploads: Path, clip: Path) -> None:
        """Lay the tab out inside the current `gr.Blocks` and connect it."""
        self.analyzer, self.uploads, self.clip = analyzer, uploads, clip
        self.display = model_display({name: model.card for name, model in analyzer.classifiers.items()})
        # An annotated video writes on dark panels.
        self.colours = {name: self.display.styles[name].on_dark for name in self.display.cards}
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.notice = gr.HTML(visible=False, elem_id="video-notice")
        with gr.Row(elem_classes="fer-actions"):
            self.stop = gr.Button("Stop and keep what is done", visible=False, elem_id="video-stop")
            self.clear = gr.Button("Try another video", visible=False, elem_id="video-clear")
        self.introduction = gr.HTML(macro("heading", _TITLE, _HINT))
        self.file = gr.File(
            # The file as it was sent: only `VideoReader` decides what is opened and how.
            file_types=["video", *SUFFIXES],
            label=f"A video of up to {LIMITS.minutes:g} minutes and {LIMITS.megabytes:g} MB",
            height=220,
            elem_id="video-file",
        )
        with gr.Row(elem_classes="fer-actions"):
            self.example = gr.Button("Try the example", visible=self.clip.is_file(), elem_id="video-example")
        with gr.Column(visible=False, elem_id="video-start") as self.start:
            self.ready = gr.HTML(elem_id="video-ready")
            with gr.Row():
                self.rate = gr.Slider(
                    1,
                    10,
                    value=3,
                    step=1,
                    label="Frames per second to analyse",
                    info="More shows shorter expressions and takes longer.",
                    elem_id="video-rate",
                )
                cards = self.display.cards
                self.models = gr.CheckboxGroup(
                    [(card.title, name) for name, card in cards.items()],
                    value=list(cards),
                    label="Models",
                    elem_id="video-models",
                )
            with gr.Row(elem_classes="fer-actions"):
                self.go = gr.Button("Analyse the video", variant="primary", elem_id="video-go")
        with gr.Column(visible=False, elem_id="video-results") as self.results:
            self.summary = gr.HTML(elem_id="video-summary")
            with gr.Column(elem_classes="fer-panel"):
                self.tracks = gr.HTML(js_on_load=CHOOSE_FACE, elem_id="video-tracks")
                with gr.Row(elem_id="video-film"):
                    with gr.Column(scale=1, min_width=300):
                        self.player = gr.HTML(js_on_load=_PLAYER, elem_id="video-player")
                        self.frame = gr.HTML(js_on_load=_FRAME_SENT, elem_id="video-frame")
                        self.moment = gr.HTML(js_on_load=_TRACK_SHOWN, elem_id="video-moment")
                    with gr.Column(scale=1, min_width=300) as self.over_time:
                        hint = (
                            "What each model predicts for this track: its probabilities in %, stacked. Click in the "
                            "chart to go there in the video."
                        )
                        gr.HTML(macro("heading", "", hint))
                        self.timeline = gr.Plot(
                            show_label=False, container=False, elem_classes="fer-chart", elem_id="video-timeline"
                        )
                        self.key = gr.HTML(elem_id="video-key")
            self.table = gr.HTML(elem_id="video-table")
        self.session = gr.State(None, time_to_live=_FORGET, delete_callback=_close)

    def _connect(self) -> None:
        stages = [self.notice, self.stop, self.clear, self.introduction, self.file, self.example]
        stages += [self.start, self.results, self.over_time]
        beside = [self.tracks, self.player, self.frame, self.moment, self.key]
        self.shown = [self.ready, self.summary, *beside, self.table]
        everything = [*stages, *self.shown, self.timeline, self.go, self.session]
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        # preprocess=False hands over where the upload lies instead of what Gradio makes of it.
        self.file.upload(self.take, [self.file, self.session], everything, preprocess=False, **hidden)
        self.example.click(self.take_example, self.session, everything, **hidden)
        self.go.click(
            self.analyse,
            [self.session, self.rate, self.models],
            everything,
            concurrency_limit=_AT_ONCE,
            concurrency_id="video",
            **hidden,
        )
        # Not `cancels`: the running analysis is asked to end, and shows what it has.
        self.stop.click(self.stop_analysis, self.session, self.stop, queue=False, **hidden)
        self.clear.click(self.forget, self.session, everything, **hidden)
        self.tracks.select(self.choose_track, self.session, [self.timeline, self.moment], **CLICKED, **hidden)
        self.player.select(self.take_frame, self.session, self.frame, **CLICKED, **hidden)

    # What the page can look like. Each is the one renderer of its state.

    def idle(self, text: str = "") -> Updates:
        """Ready for a video, everything else forgotten; with a message if the last one could not be analysed."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.introduction: gr.update(visible=True),
            self.file: gr.update(value=None, visible=True),
            self.example: gr.update(visible=self.clip.is_file()),
            **{part: gr.update(visible=False) for part in (self.stop, self.clear, self.start, self.results)},
            **dict.fromkeys(self.shown, ""),
            self.timeline: None,
            self.session: None,
        }

    def taken(self, session: VideoSession) -> Updates:
        """A video is there; what to do with it can be chosen."""
        return {
            self.notice: gr.update(value="", visible=False),
            self.introduction: gr.update(visible=False),
            self.file: gr.update(value=None, visible=False),
            self.example: gr.update(visible=False),
            self.start: gr.update(visible=True),
            self.clear: gr.update(visible=True),
            self.ready: view.ready(session),
            self.session: session,
        }

    def working(self, session: VideoSession, run: VideoRun | None, began: float, faces: int) -> Updates:
        """The analysis runs; the session counts as used."""
        time_s = run.frame.time_s if run and run.frame else 0.0
        done = run.fraction if run else 0.0
        spent = time.monotonic() - began
        left = spent / done * (1 - done) if done and spent > 2 else None
        notice = gr.update(value=view.progress(done, time_s, left, faces), visible=True)
        return {self.notice: notice, self.session: session}

    def done(self, session: VideoSession) -> Updates:
        """Everything about the video, with the track chosen that `view.first_track` names."""
        found = bool(view.listed(session))
        updates = {
            self.notice: gr.update(value="", visible=False),
            self.stop: gr.update(visible=False),
            self.clear: gr.update(visible=True),
            self.results: gr.update(visible=True),
            self.summary: view.summary(session),
            self.player: view.player(session),
            self.table: view.table(session, self.display),
            self.over_time: gr.update(visible=found),
            self.session: session,
        }
        if found and session.timeline is not None:
            number = view.first_track(session)
            chart, moments = self.show_track(session, number)
            updates |= {
                self.tracks: view.choices(session, number),
                self.key: view.key(session.timeline.expressions),
                self.timeline: chart,
                self.moment: moments,
            }
        return updates

    def show_track(self, session: VideoSession, number: int) -> tuple[Any, str]:
        """The chart of a track, and what is predicted for it at every moment."""
        if session.timeline is None or session.summary is None:
            return None, ""
        end_s = float(session.summary["analysis"]["seconds"])
        figure = timeline_figure(session.timeline, number, end_s, self.display.titles)
        return figure, view.moments(session, number, self.display)

    # What the user can do.

    @show_errors(_UNEXPECTED, lambda tab, text: tab.idle(text))
    def take(self, payload: Mapping[str, Any] | None, before: VideoSession | None) -> Updates:
        """Take an upload over and open it."""
        _close(before)
        return self.taken(VideoSession(uploaded_path(payload, self.uploads), self.uploads))

    @show_errors(_UNEXPECTED, lambda tab, text: tab.idle(text))
    def take_example(self, before: VideoSession | None) -> Updates:
        """Open the example clip."""
        _close(before)
        return self.taken(VideoSession(self.clip, self.uploads))

    def analyse(self, session: VideoSession | None, rate: float, names: Sequence[str]) -> Iterator[Updates]:
        """Analyse the video; yields the progress and, also when it was stopped, the results."""
        chosen = [name for name in self.display.cards if name in names]
        if session is None or not session.source.is_file():
            yield self.idle(_FORGOTTEN)
            return
        if not chosen:
            yield {self.notice: gr.update(value=message("Choose at least one model."), visible=True)}
            return
        session.stop.clear()
        began = updated = time.monotonic()
        stages = {self.start: gr.update(visible=False), self.clear: gr.update(visible=False)}
        button = gr.update(value="Stop and keep what is done", interactive=True, visible=True)
        yield self.working(session, None, began, 0) | stages | {self.stop: button}
        try:
            timeline = Timeline(self.display.cards, chosen)
            seen: set[int] = set()
            running = run_video(
                self.analyzer,
                session.source,
                session.folder,
                rate=min(max(float(rate), 1), 10),
                models=chosen,
                limits=LIMITS,
                colours=self.colours,
                stopped=session.stop.is_set,
            )
            with closing(running):
                for run in running:
                    if run.summary is not None:
                        session.summary = run.summary
                    elif run.frame is not None:
                        timeline.add(run.frame)
                        seen.update(run.frame.numbers)
                    if time.monotonic() - updated > _UPDATE_S:
                        updated = time.monotonic()
                        yield self.working(session, run, began, len(seen))
            session.timeline = timeline
            yield self.done(session)
        except Exception as error:
            _close(session)
            yield self.idle(as_message(error, _UNEXPECTED))

    def stop_analysis(self, session: VideoSession | None) -> Any:
        """Tell the running analysis to end with what it has."""
        if session is not None:
            session.stop.set()
        return gr.update(value="Finishing …", interactive=False)

    def forget(self, session: VideoSession | None) -> Updates:
        """Delete the video and its results."""
        _close(session)
        return self.idle()

    def choose_track(self, session: VideoSession | None, event: gr.EventData) -> tuple[Any, str]:
        """Show another track."""
        if session is None:
            return None, message(_FORGOTTEN)
        number = sent_value(event, "index")
        return self.show_track(session, number if isinstance(number, int) else 0)

    def take_frame(self, session: VideoSession | None, event: gr.EventData) -> str:
        """The frame of the video, without annotation, at the player's time: for Compare."""
        time_s, count = sent_value(event, "time"), sent_value(event, "count")
        if session is None or not isinstance(time_s, int | float) or not math.isfinite(time_s):
            return message(_FORGOTTEN)
        try:
            frame = frame_at(session.source, min(max(time_s, 0.0), 60 * LIMITS.minutes), LIMITS)
        except FerError:
            return message(_FORGOTTEN)
        return view.sent_frame(frame.image, frame.time_s, count if isinstance(count, int) else 0)


def _close(session: VideoSession | None) -> None:
    if session is not None:
        session.stop.set()
        session.close()


def build(analyzer: Analyzer, uploads: Path, clip: Path = EXAMPLES / "clip.mp4") -> VideoTab:
    """Build the tab inside the current `gr.Blocks`.

    Args:
        analyzer: shared by all sessions.
        uploads: folder where Gradio puts uploads.
        clip: the example; may be missing.
    """
    return VideoTab(analyzer, uploads, clip)
