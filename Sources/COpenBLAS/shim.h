#include <cblas.h>

/* LAPACK's eigenvalues and eigenvectors of a symmetric matrix; the library has it, its C header does not. */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);
