"""The Video tab: a video in, every face in it analysed by every model over time."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr

from dashboard.components.display import model_display
from dashboard.components.events import CHANGED, CLICKED
from dashboard.components.failures import as_message, show_errors
from dashboard.components.picture_input import EXAMPLES
from dashboard.components.templates import macro, message
from dashboard.components.uploads import uploaded_path
from dashboard.video import view
from dashboard.video.figures import timeline_figure
from dashboard.video.session import LIMITS, SLACK_S, Timeline, VideoSession
from fer_models.analyzer import Analyzer
from fer_models.errors import FerError
from fer_models.media.video_files import SUFFIXES
from fer_models.media.video_reader import frame_at
from fer_models.video.run import VIDEO, VideoRun, run_video

_UNEXPECTED: Final = "Something went wrong while analysing this video. Try again, or try another video."
#: Seconds after which an idle session's video and results are deleted.
_FORGET: Final = 3600
_FORGOTTEN: Final = "This video was forgotten after an hour without a change. Try it again."
#: Videos analysed at the same time; each model still works on one batch at a time.
_AT_ONCE: Final = 2
#: Seconds between two updates of the progress.
_UPDATE_S: Final = 0.4

# A click anywhere in the chart is a moment: its distance from the left is a time on the shared axis.
_CHOOSE_MOMENT: Final = """
document.addEventListener('click', (event) => {
  const plot = event.target.closest?.('#video-timeline .js-plotly-plot');
  const axis = plot?._fullLayout?.xaxis;
  if (!axis) return;
  const left = plot.getBoundingClientRect().left + axis._offset;
  const time = axis.p2d(Math.min(Math.max(event.clientX - left, 0), axis._length));
  trigger('select', {time: time});
}, true);
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
        self.file = gr.File(
            # The file as it was sent: only `VideoReader` decides what is opened and how.
            file_types=list(SUFFIXES),
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
            self.player = gr.HTML(elem_id="video-player")
            self.summary = gr.HTML(elem_id="video-summary")
            with gr.Column(elem_classes="fer-panel") as self.over_time:
                hint = (
                    "What each model predicts for one track: its probabilities in %, stacked. Click in the chart, or "
                    "move the slider, to see that frame."
                )
                gr.HTML(macro("heading", "Over time", hint))
                self.face = gr.Radio([], label="Track", elem_id="video-face")
                self.key = gr.HTML(elem_id="video-key")
                with gr.Row():
                    with gr.Column(scale=7, min_width=300):
                        self.timeline = gr.Plot(
                            show_label=False, container=False, elem_classes="fer-chart", elem_id="video-timeline"
                        )
                    with gr.Column(scale=5, min_width=300):
                        self.at = gr.Slider(
                            0, 1, value=0, step=0.1, label="Moment, in seconds", buttons=[], elem_id="video-at"
                        )
                        self.moment = gr.HTML(js_on_load=_CHOOSE_MOMENT, elem_id="video-moment")
        self.session = gr.State(None, time_to_live=_FORGET, delete_callback=_close)

    def _connect(self) -> None:
        stages = [self.notice, self.stop, self.clear, self.file, self.example, self.start, self.results, self.over_time]
        parts = [self.ready, self.player, self.summary, self.face, self.key, self.timeline, self.at, self.moment]
        everything = [*stages, *parts, self.go, self.session]
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
        controls = [self.session, self.face, self.at]
        self.face.input(self.show_face, controls, [self.timeline, self.moment], **CHANGED, **hidden)
        self.at.input(self.show_moment, controls, self.moment, **CHANGED, **hidden)
        self.moment.select(self.choose_moment, [self.session, self.face], [self.at, self.moment], **CLICKED, **hidden)

    # What the page can look like. Each is the one renderer of its state.

    def idle(self, text: str = "") -> Updates:
        """Ready for a video, everything else forgotten; with a message if the last one could not be analysed."""
        return {
            self.notice: gr.update(value=message(text), visible=bool(text)),
            self.file: gr.update(value=None, visible=True),
            self.example: gr.update(visible=self.clip.is_file()),
            **{part: gr.update(visible=False) for part in (self.stop, self.clear, self.start, self.results)},
            **{part: "" for part in (self.ready, self.player, self.summary, self.key, self.moment)},
            self.timeline: None,
            self.session: None,
        }

    def taken(self, session: VideoSession) -> Updates:
        """A video is there; what to do with it can be chosen."""
        return {
            self.notice: gr.update(value="", visible=False),
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
        """Everything about the video, the face seen longest chosen."""
        faces = view.listed(session)
        end_s = float((session.summary or {})["analysis"]["seconds"])
        updates = {
            self.notice: gr.update(value="", visible=False),
            self.stop: gr.update(visible=False),
            self.clear: gr.update(visible=True),
            self.results: gr.update(visible=True),
            self.player: view.player(session),
            self.summary: view.summary(session, self.display),
            self.over_time: gr.update(visible=bool(faces)),
            self.session: session,
        }
        if faces and session.timeline is not None:
            longest = max(faces, key=lambda face: face["seconds"])
            number, start_s = longest["face"], session.timeline.first(longest["face"])
            start_s = longest["first_s"] if start_s is None else start_s
            chart, moment = self.show_face(session, number, start_s + SLACK_S)
            choices = [(f"Track {face['face']}", face["face"]) for face in faces]
            updates |= {
                self.face: gr.update(choices=choices, value=number, visible=len(faces) > 1),
                self.key: view.key(session.timeline.expressions),
                self.at: gr.update(maximum=max(round(end_s, 1), 0.1), value=round(start_s, 1)),
                self.timeline: chart,
                self.moment: moment,
            }
        return updates

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
            session.forget_source()
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

    def show_face(self, session: VideoSession | None, face: int, time_s: float) -> tuple[Any, str]:
        """The chart of a face, and the frame at a time."""
        if session is None or session.timeline is None:
            return None, message(_FORGOTTEN)
        end_s = float((session.summary or {})["analysis"]["seconds"])
        figure = timeline_figure(session.timeline, int(face), end_s, self.display.titles)
        return figure, self.show_moment(session, face, time_s)

    def show_moment(self, session: VideoSession | None, face: int, time_s: float) -> str:
        """One frame of the annotated video and what is said about a face in it."""
        if session is None or session.timeline is None:
            return message(_FORGOTTEN)
        try:
            frame = frame_at(session.folder / VIDEO, float(time_s))
        except FerError:
            return message(_FORGOTTEN)
        predictions = session.timeline.at(int(face), frame.time_s)
        return view.moment(frame.image, frame.time_s, int(face), predictions, self.display)

    def choose_moment(self, session: VideoSession | None, face: int, event: gr.EventData) -> tuple[Any, str]:
        """The frame at the time that was clicked in the chart."""
        time_s = max(float(event.time), 0.0)
        return round(time_s, 1), self.show_moment(session, face, time_s)


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
