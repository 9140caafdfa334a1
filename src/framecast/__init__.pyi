"""The names of the package, in the one place where they stand: `__init__.py` reads them from here."""

from framecast.checkpoints.importing import import_checkpoint as import_checkpoint
from framecast.config.recipes import copy_recipe as copy_recipe
from framecast.config.recipes import recipes as recipes
from framecast.data.archives.opening import open as open
from framecast.data.readers.options import ReadOptions as ReadOptions
from framecast.data.sets.catalogue import datasets as datasets
from framecast.data.store.conversion import convert as convert
from framecast.diagnosis import diagnose as diagnose
from framecast.errors import ArgumentError as ArgumentError
from framecast.errors import ConfigError as ConfigError
from framecast.errors import DataError as DataError
from framecast.errors import FramecastError as FramecastError
from framecast.errors import ResourceError as ResourceError
from framecast.errors import RunError as RunError
from framecast.forecasting.api import forecast as forecast
from framecast.forecasting.baselines import baselines as baselines
from framecast.forecasting.distribution import Distribution as Distribution
from framecast.forecasting.exporting.export import export as export
from framecast.forecasting.loading import load as load
from framecast.forecasting.open import open_forecast as open_forecast
from framecast.forecasting.products import products as products
from framecast.forecasting.products.archive import append_forecast as append_forecast
from framecast.forecasting.products.pysteps import to_pysteps as to_pysteps
from framecast.forecasting.products.settings import ProductSettings as ProductSettings
from framecast.forecasting.products.write import write_products as write_products
from framecast.forecasting.protocol import Context as Context
from framecast.forecasting.protocol import Forecaster as Forecaster
from framecast.forecasting.protocol import Forecasts as Forecasts
from framecast.forecasting.write import write as write
from framecast.report import write_report as write_report
from framecast.report.forecast import plot as plot
from framecast.service.http.server import serve_folder as serve_folder
from framecast.service.processes import run_service as run_service
from framecast.training import resume as resume
from framecast.training import train as train
from framecast.types import FrameShape as FrameShape
from framecast.types import Prediction as Prediction
from framecast.verification.arriving import score_forecast as score_forecast
from framecast.verification.drift import drift as drift
from framecast.verification.result import Verification as Verification
from framecast.verification.score_summary import summarise as summarise
from framecast.verification.settings import EvaluationSettings as EvaluationSettings
from framecast.verification.verify import verify as verify
from framecast.workflows.calibration import calibrate as calibrate
from framecast.workflows.crossvalidate import crossvalidate as crossvalidate
from framecast.workflows.demo import demo as demo
from framecast.workflows.doctor import check_installation as check_installation
from framecast.workflows.evaluation import compare as compare
from framecast.workflows.evaluation import evaluate as evaluate
from framecast.workflows.forecast_verification import verify_forecasts as verify_forecasts
from framecast.workflows.inspection import inspect as inspect
from framecast.workflows.inspection import training_cost as training_cost
from framecast.workflows.ranking import rank as rank
from framecast.workflows.reproduce import reproduce as reproduce

Options = ReadOptions  # its name before 0.1.0
Exhausted = ResourceError

__version__: str
