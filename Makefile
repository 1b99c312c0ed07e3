# make book   build the HTML book           make test   lint, unit tests, every chapter
# make lab    open the chapters in Jupyter  make weights   train the shipped weights again
# make links  ask whether links still lead  make browser   look at the built book in Chromium
# make slides a deck for each chapter       make pdf    the whole book in one file
# make art    draw logo, card, front page   make student  the chapters without solutions
PYTHON ?= python3
BIN := .venv/bin

.PHONY: book test browser lab student slides pdf weights outputs links art lock clean
book: .venv/installed
	$(BIN)/python tools/book.py build

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n 2 --dist worksteal
	$(BIN)/python tools/book.py check

browser: book
	$(BIN)/pip install -q -r tests/browser/requirements.txt -c requirements-lock.txt
	$(BIN)/python tests/browser/fetch_axe.py
	$(BIN)/python -m pytest -q -n 2 --dist loadfile tests/browser

lab: .venv/installed
	$(BIN)/pip install -q "jupyterlab>=4.2,<5" -c requirements-lock.txt
	$(BIN)/jupyter lab book

student: .venv/installed
	$(BIN)/python tools/book.py student

slides: book
	$(BIN)/python tools/book.py slides

pdf: book
	$(BIN)/python tools/book.py pdf

weights: .venv/installed
	$(BIN)/python tools/train_weights.py

outputs: .venv/installed
	$(BIN)/python tools/book.py outputs

links: book
	$(BIN)/python tools/book.py links

art: book
	$(BIN)/python tools/art.py

lock:
	uv pip compile --universal --python-version 3.10 --no-annotate --no-header --no-emit-package scenecam requirements.txt pyproject.toml --extra cluster -o requirements-lock.txt

clean:
	rm -rf _build .venv

.venv/installed: requirements.txt requirements-lock.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -r requirements.txt -c requirements-lock.txt
	touch $@
