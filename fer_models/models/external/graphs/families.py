"""Cards of well-known graphs, which need no card beside them: recognised by the file's name and the graph's shapes.

None of them was at hand when this was written: they are untested here, and each card says so.
"""

import re
from typing import Final

from fer_models.models.external.cards import GraphCard, _InputFile
from fer_models.models.external.formats import GraphFacts

_UNTESTED: Final = "Not measured here."

#: FER+ of the ONNX model zoo (github.com/onnx/models, vision/body_analysis/emotion_ferplus, README): input 1x1x64x64,
#: grey levels from 0 to 255 as they are; outputs before a softmax in the order of `emotion_table`; MIT. Barsoum et al.,
#: ICMI 2016.
_FERPLUS: Final = GraphCard(
    labels=("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    input=_InputFile("grey", 64, 1, "NCHW", "0-255"),
    outputs="logits",
    title="FER+ (ONNX model zoo)",
    training_labels="FER+ (8 expressions)",
    training_data="FER2013's faces with FER+ votes (Barsoum et al., ICMI 2016)",
    licence="MIT",
    weaknesses=_UNTESTED,
)

#: HSEmotion, now EmotiEffLib (github.com/av-savchenko/hsemotion-onnx, hsemotion_onnx/facial_emotions.py): RGB faces of
#: 224 px ("_b0_" in the name) or 260 px, ImageNet's mean and deviation, outputs before a softmax, classes in
#: alphabetical order, without contempt where the name has "_7"; Apache-2.0. Its multi-task files ("_mtl") give valence
#: and arousal after them. MobileViT takes 224 px, too; MobileFaceNet ("mbf") 112 px from -1 to 1.
_HSEMOTION_8: Final = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")
_SCALES: Final = ("valence", "arousal")
_HSEMOTION: Final = re.compile(r"enet_b[02]_[78](_best(_(vgaf|afew))?|_va_mtl)?|(mobilevit|mbf)_va_mtl")


def family_card(name: str, facts: GraphFacts) -> GraphCard | None:
    """The card of a well-known graph; None for others.

    Args:
        name: of the file, without suffix.
        facts: of the graph.
    """
    if re.fullmatch(r"emotion[-_]ferplus([-_]\d+)?([-_]int8)?", name) and (facts.channels, facts.size, facts.width) == (
        1,
        64,
        8,
    ):
        return _FERPLUS
    if _HSEMOTION.fullmatch(name):
        labels = tuple(label for label in _HSEMOTION_8 if "_7" not in name or label != "Contempt")
        numbers = (*labels, *(_SCALES if "_mtl" in name else ()))
        size = 260 if "_b2_" in name else 112 if name.startswith("mbf") else 224
        if facts.width in (len(numbers), None) and facts.channels in (3, None) and facts.size in (size, None):
            imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
            normalised = ([0.5], [0.5]) if name.startswith("mbf") else imagenet
            return GraphCard(
                labels=numbers,
                input=_InputFile("rgb", size, 3, "NCHW", "0-1", *normalised),
                outputs="logits",
                title=f"HSEmotion ({name})",
                training_labels=f"AffectNet ({len(labels)} expressions)",
                training_data="AffectNet (Mollahosseini et al., 2017), after pre-training on VGGFace2",
                licence="Apache-2.0",
                weaknesses=_UNTESTED,
            )
    return None
