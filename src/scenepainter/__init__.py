"""Paint scenes of six classes from a seed, with the class of every pixel.

Only NumPy is needed, arrays come out, and the same seed gives the same bytes on any
machine. `draw` paints one scene, `draw_aside` one
whose class is off the middle, `CLASS_NAMES` names the classes, and `digest` names
the drawing itself: it changes when what is painted changes.

The rooms, in the order in which they stand on each other:

- `canvas`: pixels and their classes, chance, textures, light; developing the picture
- `nature`: brushes for sky, rock, ground, trees, water, ice
- `town`: brushes for walls, roofs, roads, cars, people, boats
- `landscapes`: how a forest, a glacier, a mountain and a sea are composed of these
- `townscapes`: how buildings and a street are
- `compose`: whole scenes of all classes, and the digest
- `marks`: what is laid over finished pictures: a stamp, a spot of light, a flag
"""

from scenepainter.compose import CLASS_NAMES as CLASS_NAMES
from scenepainter.compose import digest as digest
from scenepainter.compose import draw as draw
from scenepainter.compose import draw_aside as draw_aside
