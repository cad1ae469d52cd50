"""
scikit-learn: learning in parts, and choosing K
===============================================

`online_gmm.sklearn.StreamingGaussianMixture` has scikit-learn's methods and learns more rows
with ``partial_fit``.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from online_gmm.sklearn import StreamingGaussianMixture

X = pd.read_csv("../old_faithful.csv").to_numpy(float)

model = StreamingGaussianMixture(2, random_state=1)
for part in np.array_split(X, 10):
    model.partial_fit(part)
    print(
        f"{model.n_samples_seen_:3} rows, waits of {np.sort(model.means_[:, 1]).round(1)} minutes"
    )

# %%
# ``bic`` has scikit-learn's sign: the lower, the better.

numbers = range(1, 7)
bic = [StreamingGaussianMixture(k, random_state=1).fit(X).bic(X) for k in numbers]
print(f"lowest for K = {numbers[int(np.argmin(bic))]}")
figure, axes = plt.subplots(figsize=(5.0, 3.0), layout="constrained")
axes.plot(numbers, bic, "o-")
axes.set_xlabel("components")
axes.set_ylabel("BIC")
