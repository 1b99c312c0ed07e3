"""What stands below the help of each command: files that are written, examples."""

EXPLAIN = """\
what is written, for a picture forest/1.jpg and the class sea:
  forest/1.jpg.npy              raw maps, float32 (classes, height, width): signed,
                                in logits, at the layer's own resolution
  forest/1.jpg.sea.heatmap.jpg  the positive part of the map, coloured
  forest/1.jpg.sea.overlay.jpg  the same over the picture
  index.csv                     a row for each picture and class: prediction,
                                probabilities, where the map is strongest (row and
                                column in pixels of the picture, value in logits),
                                whether anything in the picture speaks for the class,
                                and the files (map_index: which map of the .npy)
  settings.json                 what all this was made with

A second run of the same command does what is missing. In Python:
  maps = numpy.load("results/forest/1.jpg.npy")

examples:
  scenecam explain dog.jpg --weights photos-resnet --out results
  scenecam explain photos/ --weights photos-resnet --classes sea,glacier --out results
  scenecam explain photos/ --weights my.keras --class-names cat,dog \\
      --method cam --classes all --format png --out results
"""

SHOW = """\
examples:
  scenecam show results
  scenecam show results --rows 10 --pages all
"""

FETCH = """\
photos   Intel's photographs of six kinds of scenes, from Kaggle through kagglehub,
         without an account: data/photos/seg_train/seg_train/<class>/, and seg_test
animals  the birds, cats, dogs and horses of CIFAR-10, 32 x 32 pixels, through Keras:
         data/animals/train/<class>/, and test

What is in data/ is whole, whenever the command is stopped: pictures are counted before
they are moved there. The same command goes on after a stop. Where there is no network,
it says which file to get by hand.

examples:
  scenecam fetch photos
  scenecam fetch photos --from ~/Downloads/archive.zip
  scenecam fetch animals --from cifar-10-python.tar.gz
  scenecam fetch animals --from path/to/folder --again
"""

TRAIN = """\
FOLDER has one folder of pictures for each class; or a train and a test part of such
folders (train/ and test/, seg_train/seg_train/ and seg_test/seg_test/). The network
learns from the train part. Where there is none, a fifth of every class, chosen by the
pictures' names, stays out for `scenecam evaluate`; --part all learns from them too.

what is written:
  NAME.keras  the network; its probabilities are calibrated
  NAME.json   its card: classes, data with checksum, recipe, seed, machine, scores on
              the pictures set aside to choose the epoch, every epoch's numbers
  NAME.run    while it trains: the state after each epoch, for --resume

The same command gives the same weights on the same machine.

examples:
  scenecam train photos/ --out my.keras
  scenecam train photos/ --out my.keras --resume
  scenecam train photos/ --out maps.keras --builder gap_cnn --epochs 16
  scenecam evaluate photos/ --weights my.keras --out report
"""

EVALUATE = """\
FOLDER is as for `scenecam train`; its test part is taken. Where there is none, it is
the same fifth of every class that `train` leaves out; --part all takes every picture.
Classes are matched by name, in any order.

what is written:
  report.txt     accuracy with its 95 % interval, precision, recall and F1 score of
                 every class, calibration error, confusions
  report.json    the same numbers, not rounded
  confusion.csv  the confusion matrix: row = true class, column = predicted class
  confusion.png  the same as a figure
  mistakes.csv   the pictures named wrongly, the surest mistake first

examples:
  scenecam evaluate photos/ --weights my.keras --out report
  scenecam evaluate more-photos/ --part all --weights photos-resnet --out report
"""

SHOW_CARD = """\
The card is the .json file beside the network. It is shown with a word on whether it
belongs to the file; the network itself is not opened.

examples:
  scenecam show-card drawn-resnet
  scenecam show-card my.keras
"""

EXPORT = """\
what is written:
  DIR/1/  a SavedModel, as TensorFlow Serving and tf.saved_model.load take it, and its
          card in assets.extra/card.json with the names of the classes

Its signature serving_default takes `images`, uint8 (n, height, width, channels), grey
levels 0 to 255 (scaling is inside), and gives `probabilities`, float32 (n, classes).
DIR appears whole or not at all. In Python, with TensorFlow alone:
  served = tensorflow.saved_model.load("DIR/1").signatures["serving_default"]
  served(images=pictures)["probabilities"]

examples:
  scenecam export drawn-resnet --out served/drawn
  scenecam export my.keras --out served/mine --overwrite
"""
