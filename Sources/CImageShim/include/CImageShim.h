#ifndef CIMAGESHIM_H
#define CIMAGESHIM_H
#endif
