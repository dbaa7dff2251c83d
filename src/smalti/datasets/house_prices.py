"""Kaggle's house prices: houses sold in Ames, Iowa, as texts, and what was paid for them.

Source of the columns: https://www.kaggle.com/competitions/house-prices-advanced-regression-techniques/data.
"""

from __future__ import annotations

from smalti.datasets.competitions.tabular import TabularDataset

_FEATURES = """
MSSubClass MSZoning LotFrontage LotArea Street Alley LotShape LandContour Utilities LotConfig LandSlope Neighborhood
Condition1 Condition2 BldgType HouseStyle OverallQual OverallCond YearBuilt YearRemodAdd RoofStyle RoofMatl
Exterior1st Exterior2nd MasVnrType MasVnrArea ExterQual ExterCond Foundation BsmtQual BsmtCond BsmtExposure
BsmtFinType1 BsmtFinSF1 BsmtFinType2 BsmtFinSF2 BsmtUnfSF TotalBsmtSF Heating HeatingQC CentralAir Electrical
1stFlrSF 2ndFlrSF LowQualFinSF GrLivArea BsmtFullBath BsmtHalfBath FullBath HalfBath BedroomAbvGr KitchenAbvGr
KitchenQual TotRmsAbvGrd Functional Fireplaces FireplaceQu GarageType GarageYrBlt GarageFinish GarageCars GarageArea
GarageQual GarageCond PavedDrive WoodDeckSF OpenPorchSF EnclosedPorch 3SsnPorch ScreenPorch PoolArea PoolQC Fence
MiscFeature MiscVal MoSold YrSold SaleType SaleCondition
"""
FEATURES = tuple(_FEATURES.split())


class HousePricesDataset(TabularDataset):
    """The houses of one split; ``labels`` is the price in US dollars. See ``TabularDataset`` for a sample."""

    competition = "house-prices"
    columns = ("Id", *FEATURES)
    target = "SalePrice"
    template = "house_prices_v1"
    id_column = "Id"
